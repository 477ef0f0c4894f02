use std::fs;
use std::os::unix::fs::PermissionsExt;

use sqlx::{AnyConnection, Row};

use super::*;
use crate::store::{EventFilter, connect};

async fn connection(store: &Fixture) -> AnyConnection {
    let place = connect::Place::prepare(&settings(store.folder.path())).unwrap();
    connect::writer(&place).await.unwrap()
}

#[tokio::test]
async fn the_database_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("var/a ?#%41ö/state.db");
    let store = Store::open(Settings::at(&path)).await.unwrap();
    store.accept(push_event("1", 'a', 'b')).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&path.with_extension("db-wal")), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
}

#[tokio::test]
async fn every_connection_has_what_durability_rests_on() {
    let store = Fixture::new().await;
    let writer = connection(&store).await;
    let mut all = vec![writer];
    for _ in 0..4 {
        all.push(store.readers().pool.acquire().await.unwrap().detach());
    }
    for connection in &mut all {
        for (ask, right) in
            [("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1), ("PRAGMA busy_timeout", 200)]
        {
            let row = sqlx::query(ask).fetch_one(&mut *connection).await.unwrap();
            assert_eq!(row.get::<i64, _>(0), right, "{ask}");
        }
        let mode: String =
            sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await.unwrap();
        assert_eq!(mode, "wal");
    }
    let denied = sqlx::query("DELETE FROM events").execute(&mut all[1]).await;
    assert!(denied.is_err(), "readers cannot write");
}

#[tokio::test]
async fn a_second_worker_is_refused_until_the_first_is_gone() {
    let store = Fixture::new().await;
    let other = store.beside().await;
    let first = store.acquire_worker("pid 1 on host", at(7)).await.unwrap();
    let refused = other.acquire_worker("pid 2", at(8)).await.unwrap_err();
    assert_eq!(refused, StoreError::WorkerRunning { holder: "pid 1 on host".into(), since: at(7) });
    let epoch = first.epoch();
    drop(first);
    assert_eq!(other.acquire_worker("pid 2", at(9)).await.unwrap().epoch(), epoch + 1);
}

#[tokio::test]
async fn another_process_that_holds_the_lock_is_named() {
    let store = Fixture::new().await;
    let mut other = connection(&store).await;
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    assert_eq!(store.accept(push_event("1", 'a', 'b')).await, Err(StoreError::Locked));
    let opened = store.beside().await;
    assert!(opened.event(&id("1")).await.unwrap().is_none(), "reads, and opening, go on");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    store.accept(push_event("1", 'a', 'b')).await.unwrap();
}

#[tokio::test]
async fn a_database_of_a_later_program_is_left_as_it_is() {
    let store = Fixture::new().await;
    let mut other = connection(&store).await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'later', 1, x'00', 0)",
    )
    .execute(&mut other)
    .await
    .unwrap();
    connect::close(other).await;
    store.close().await;
    let file = store.folder.path().join("state.db");
    let before = fs::read(&file).unwrap();
    let error = Store::open(settings(store.folder.path())).await.unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 9999, .. }), "{error}");
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn what_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "this is not a database, and long enough to be looked at as one.\n".repeat(20)).unwrap();
    let error = Store::open(Settings::at(&file)).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
    let error = Store::open(Settings::at(file.join("state.db"))).await.unwrap_err();
    assert!(error.to_string().contains("state.db"), "{error}");
    let error = Store::open(Settings::at("/")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");

    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
    // Root may write everywhere: then there is nothing to see here.
    if fs::write(closed.join("probe"), "").is_err() {
        let error = Store::open(Settings::at(closed.join("state.db"))).await.unwrap_err();
        assert!(matches!(&error, StoreError::ReadOnly(said) if said.contains("closed")), "{error}");
    }
}

#[tokio::test]
async fn two_processes_may_make_the_database_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let opening: Vec<_> =
        (0..4).map(|_| tokio::spawn(Store::open(Settings::at(folder.path().join("state.db"))))).collect();
    for opening in opening {
        opening.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_log_that_is_cut_anywhere_leaves_a_sound_database_without_gaps() {
    let store = Fixture::new().await;
    let digits: Vec<char> = "0123456789abcdef".chars().collect();
    let mut sizes = Vec::new();
    let log = store.folder.path().join("state.db-wal");
    for (index, pair) in digits.windows(2).enumerate() {
        store.accept(push_event(&format!("e{index}"), pair[0], pair[1])).await.unwrap();
        sizes.push(fs::metadata(&log).unwrap().len());
    }
    let (database, bytes) =
        (fs::read(store.folder.path().join("state.db")).unwrap(), fs::read(&log).unwrap());
    let start = usize::try_from(sizes[0]).unwrap();
    for cut in (start..=bytes.len()).step_by(1777) {
        let copy = tempfile::tempdir().unwrap();
        fs::write(copy.path().join("state.db"), &database).unwrap();
        // Torn: what follows the cut is noise.
        let torn = [&bytes[..cut], &[0x5a; 300]].concat();
        fs::write(copy.path().join("state.db-wal"), torn).unwrap();
        let again = Store::open(settings(copy.path())).await.unwrap();
        let mut found: Vec<_> = again
            .events(&EventFilter::default(), 99)
            .await
            .unwrap()
            .value
            .into_iter()
            .map(|event| event.id)
            .collect();
        found.reverse();
        let acked = sizes.iter().filter(|size| **size <= cut as u64).count();
        let right: Vec<EventId> = (0..acked).map(|index| id(&format!("e{index}"))).collect();
        assert_eq!(found, right, "cut at {cut}");
        let sound: String =
            sqlx::query_scalar("PRAGMA integrity_check").fetch_one(again.readers()).await.unwrap();
        assert_eq!(sound, "ok");
    }
}
