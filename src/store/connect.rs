//! Opening the database: its file, its connections, its schema. The only module that knows SQLite's own words.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Once;
use std::time::{Duration, Instant};

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AnyConnection, AnyPool, ConnectOptions, Connection, Row};

use super::{Settings, StoreError};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// How long a reader waits for a free connection.
const ACQUIRE: Duration = Duration::from_secs(10);

/// The pause between two attempts at what SQLite does not wait for.
const AGAIN: Duration = Duration::from_millis(20);

/// Takes the lock for writing at once: a transaction that began by reading could not get it later.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";

/// A database file that exists.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Its absolute path.
    pub(super) file: PathBuf,
    options: AnyConnectOptions,
    busy_timeout: Duration,
}

impl Place {
    /// Makes the file and its folder where they are missing, for their owner's eyes alone.
    pub(super) fn prepare(settings: &Settings) -> Result<Self, StoreError> {
        let fault = |error: std::io::Error| StoreError::of_file(&settings.path, &error);
        let Some(name) = settings.path.file_name() else {
            return Err(StoreError::Unavailable(format!("{} is not a file", settings.path.display())));
        };
        let folder = settings.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = match folder {
            Some(folder) => {
                DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fault)?;
                folder.canonicalize().map_err(fault)?
            }
            None => std::env::current_dir().map_err(fault)?,
        };
        let file = folder.join(name);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file) {
            // SQLite syncs the file; that its name is in the folder is for us to sync.
            Ok(_) => File::open(&folder).and_then(|folder| folder.sync_all()).map_err(fault)?,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(fault(error)),
        }
        let options = options(&file)?;
        Ok(Self { file, options, busy_timeout: settings.busy_timeout })
    }
}

/// The connection that writes, after the schema was brought up to date.
pub(super) async fn writer(place: &Place) -> Result<AnyConnection, StoreError> {
    let mut connection = AnyConnection::connect_with(&place.options).await?;
    sqlx::query(BUSY_TIMEOUT_OPENING).execute(&mut connection).await?;
    // Before anything is written: a database of a later program is left as it is.
    let found = schema(&mut connection).await?;
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    tune(&mut connection, place.busy_timeout).await?;
    if found < known {
        migrate(&mut connection).await?;
    }
    Ok(connection)
}

/// A connection that cannot write.
pub(super) async fn reader(place: &Place) -> Result<AnyConnection, StoreError> {
    let mut connection = AnyConnection::connect_with(&place.options).await?;
    tune_reader(&mut connection, place.busy_timeout).await?;
    Ok(connection)
}

/// The connections that read.
pub(super) async fn readers(place: &Place, count: u32) -> Result<AnyPool, StoreError> {
    let busy_timeout = place.busy_timeout;
    let pool = AnyPoolOptions::new()
        .max_connections(count.max(1))
        .acquire_timeout(ACQUIRE)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                let tuned = tune_reader(connection, busy_timeout).await;
                tuned.map_err(|error| sqlx::Error::Configuration(Box::new(error)))
            })
        })
        .connect_with(place.options.clone())
        .await?;
    Ok(pool)
}

/// A number that changes when another connection commits.
pub(super) async fn data_version(connection: &mut AnyConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("PRAGMA data_version").fetch_one(connection).await?)
}

/// Closes a connection; the last one folds the log into the database.
pub(super) async fn close(connection: AnyConnection) {
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "a connection to the database did not close cleanly");
    }
}

const BUSY_TIMEOUT_OPENING: &str = "PRAGMA busy_timeout = 1000";

fn options(file: &std::path::Path) -> Result<AnyConnectOptions, StoreError> {
    static DRIVERS: Once = Once::new();
    DRIVERS.call_once(sqlx::any::install_default_drivers);
    let Some(path) = file.to_str() else {
        return Err(StoreError::Unavailable(format!("{} is not valid text", file.display())));
    };
    // Everything that could mean something in a URL is encoded; SQLite's driver decodes it.
    let mut url = String::from("sqlite://");
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => url.push(char::from(byte)),
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url.push_str("?mode=rw");
    Ok(AnyConnectOptions::from_str(&url)?.disable_statement_logging())
}

/// Sets what durability rests on, and sees that it is in force: a pragma that does not apply is not an error
/// to SQLite.
async fn tune(connection: &mut AnyConnection, busy_timeout: Duration) -> Result<(), StoreError> {
    let timeout = i64::try_from(busy_timeout.as_millis()).unwrap_or(i64::MAX).min(i64::from(i32::MAX));
    let set_timeout = sqlx::AssertSqlSafe(format!("PRAGMA busy_timeout = {timeout}"));
    sqlx::query(set_timeout).execute(&mut *connection).await?;
    let mode = with_log(connection, busy_timeout).await?;
    if mode != "wal" {
        return Err(StoreError::Unavailable(format!(
            "its file system cannot keep a write-ahead log (journal mode is {mode})"
        )));
    }
    for set in
        ["PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON", "PRAGMA journal_size_limit = 67108864"]
    {
        sqlx::query(set).execute(&mut *connection).await?;
    }
    for (ask, right) in
        [("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1), ("PRAGMA busy_timeout", timeout)]
    {
        let row = sqlx::query(ask).fetch_one(&mut *connection).await?;
        let found: i64 = row.try_get(0)?;
        if found != right {
            return Err(StoreError::Unavailable(format!("{ask} is {found} and should be {right}")));
        }
    }
    Ok(())
}

/// Switches to the write-ahead log; answers the mode. Of those who do so for a new database at once one succeeds, and
/// SQLite lets the others not wait by itself.
async fn with_log(connection: &mut AnyConnection, busy_timeout: Duration) -> Result<String, StoreError> {
    let until = Instant::now() + busy_timeout;
    loop {
        let switched = sqlx::query_scalar("PRAGMA journal_mode = WAL").fetch_one(&mut *connection).await;
        match switched.map_err(StoreError::from) {
            Err(StoreError::Locked) if Instant::now() < until => tokio::time::sleep(AGAIN).await,
            switched => return switched,
        }
    }
}

async fn tune_reader(connection: &mut AnyConnection, busy_timeout: Duration) -> Result<(), StoreError> {
    tune(connection, busy_timeout).await?;
    sqlx::query("PRAGMA query_only = ON").execute(connection).await?;
    Ok(())
}

/// The version of the schema found; 0 for an empty database.
async fn schema(connection: &mut AnyConnection) -> Result<i64, StoreError> {
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'")
            .fetch_one(&mut *connection)
            .await?;
    if tables == 0 {
        return Ok(0);
    }
    let version: Option<i64> =
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(connection).await?;
    Ok(version.unwrap_or(0))
}

/// All missing migrations in one transaction, under the lock for writing: two processes that open a new
/// database at once do not get into each other's way.
async fn migrate(connection: &mut AnyConnection) -> Result<(), StoreError> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    // Not `run`: its future cannot be sent to another thread when the driver is chosen at run time.
    if let Err(error) = MIGRATIONS.run_direct(None, &mut *transaction, false).await {
        if let MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) = error {
            return Err(StoreError::from(error));
        }
        return Err(StoreError::Corrupt(format!("its schema cannot be brought up to date: {error}")));
    }
    transaction.commit().await?;
    Ok(())
}
