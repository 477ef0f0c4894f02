//! Against real repositories, made in a temporary folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;

mod commit;
mod revert;

/// A repository as somebody else has it, and a [`Git`] that reads it.
struct World {
    folder: TempDir,
    git: Git,
}

impl World {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut GitSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let origin = folder.path().join("origin");
        std::fs::create_dir(&origin).unwrap();
        run(&origin, &["init", "-q", "-b", "main", "."]);
        let mut settings = GitSettings::new(folder.path().join("cache"), "no-ssh");
        change(&mut settings);
        let git = Git::new(settings, [repository(&origin)]).unwrap();
        Self { folder, git }
    }

    fn origin(&self) -> PathBuf {
        self.folder.path().join("origin")
    }

    fn cache(&self) -> PathBuf {
        let entries = std::fs::read_dir(self.folder.path().join("cache")).unwrap();
        entries.map(|entry| entry.unwrap().path()).find(|path| path.extension().unwrap() == "git").unwrap()
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.origin().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn commit(&self) -> Revision {
        run(&self.origin(), &["add", "-A"]);
        run(&self.origin(), &["commit", "-q", "--allow-empty", "-m", "change"]);
        run(&self.origin(), &["rev-parse", "HEAD"]).parse().unwrap()
    }

    async fn text(&self, revision: &Revision, path: &str) -> Option<String> {
        let read = self.git.read(&source(), revision, path, 1_000).await.unwrap();
        read.map(|bytes| String::from_utf8(bytes).unwrap())
    }
}

fn source() -> SourceName {
    "values".parse().unwrap()
}

fn repository(origin: &Path) -> Repository {
    Repository { allow_file: true, ..Repository::new(source(), format!("file://{}", origin.display())) }
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn nowhere() -> Revision {
    "1234567890".repeat(4).parse().unwrap()
}

fn refused<T: std::fmt::Debug>(result: Result<T, SourceError>) {
    assert!(matches!(result, Err(SourceError::Refused(_))), "{result:?}");
}

#[tokio::test]
async fn files_are_read_at_a_revision() {
    let world = World::new();
    world.write("customers/a/values.yaml", "tag: 1\n");
    world.write("customers/a/templates/x.yaml", "x\n");
    world.write("customers/ab/values.yaml", "tag: 0\n");
    let one = world.commit();
    world.write("customers/a/values.yaml", "tag: 2\n");
    std::fs::remove_file(world.origin().join("customers/a/templates/x.yaml")).unwrap();
    let two = world.commit();
    world.git.fetch(&source()).await.unwrap();

    let path = "customers/a/values.yaml";
    assert_eq!(world.text(&one, path).await.as_deref(), Some("tag: 1\n"));
    assert_eq!(world.text(&two, path).await.as_deref(), Some("tag: 2\n"));
    assert_eq!(world.text(&one, "customers/a").await, None, "a folder");
    assert_eq!(world.text(&one, "customers/b/values.yaml").await, None);
    assert_eq!(world.text(&one, "customers/*/values.yaml").await, None, "no patterns");

    let listed = world.git.list(&source(), &one, "customers/a/").await.unwrap();
    assert_eq!(listed.keys().collect::<Vec<_>>(), ["customers/a/templates/x.yaml", path]);
    let blob = run(&world.origin(), &["rev-parse", &format!("{one}:{path}")]);
    assert_eq!(
        world.git.list(&source(), &one, path).await.unwrap(),
        BTreeMap::from([(path.to_owned(), blob)])
    );
    assert_eq!(world.git.list(&source(), &one, "").await.unwrap().len(), 3);
    assert!(world.git.list(&source(), &one, "nothing").await.unwrap().is_empty());

    let changed = world.git.changed(&source(), Some(&one), &two).await.unwrap();
    assert_eq!(changed, ["customers/a/templates/x.yaml", path]);
    assert_eq!(world.git.changed(&source(), None, &two).await.unwrap().len(), 2);
    assert!(world.git.is_ancestor(&source(), &one, &two).await.unwrap());
    assert!(world.git.is_ancestor(&source(), &one, &one).await.unwrap());
    assert!(!world.git.is_ancestor(&source(), &two, &one).await.unwrap());
}

#[tokio::test]
async fn a_ref_moves_is_forced_and_goes_away() {
    let world = World::new();
    let one = world.commit();
    run(&world.origin(), &["tag", "-a", "v1", "-m", "annotated"]);
    let two = world.commit();
    run(&world.origin(), &["tag", "refs/heads/other"]);
    run(&world.origin(), &["branch", "gone"]);
    let head = async |reference: &'static str| world.git.head(&source(), reference).await.unwrap();
    assert_eq!(head("refs/heads/main").await, Some(two.clone()), "the first who reads fetches");
    assert_eq!(head("refs/tags/v1").await, Some(one.clone()), "a tag's commit");
    assert_eq!(head("refs/heads/other").await, None, "a tag with the name of a branch");
    assert_eq!(head("refs/heads/gone").await, Some(two.clone()));

    run(&world.origin(), &["branch", "-D", "gone"]);
    run(&world.origin(), &["branch", "gone/deeper"]);
    run(&world.origin(), &["reset", "-q", "--hard", one.as_str()]);
    world.write("other", "history");
    let three = world.commit();
    assert_eq!(head("refs/heads/main").await, Some(two.clone()), "as of the last fetch");
    world.git.fetch(&source()).await.unwrap();
    assert_eq!(head("refs/heads/main").await, Some(three.clone()));
    assert_eq!(head("refs/heads/gone").await, None);
    assert!(head("refs/heads/gone/deeper").await.is_some());
    assert!(!world.git.is_ancestor(&source(), &two, &three).await.unwrap());
    assert!(world.git.contains(&source(), &two).await.unwrap(), "a rollback needs what was forced away");
}

#[tokio::test]
async fn a_commit_without_a_ref_is_asked_for_and_a_missing_one_is_named() {
    let world = World::new();
    let one = world.commit();
    world.write("hidden", "x");
    let hidden = world.commit();
    run(&world.origin(), &["reset", "-q", "--hard", one.as_str()]);
    world.git.fetch(&source()).await.unwrap();
    assert!(world.git.contains(&source(), &hidden).await.unwrap());
    assert_eq!(world.text(&hidden, "hidden").await.as_deref(), Some("x"));

    let missing = Err(SourceError::MissingRevision { source_name: source(), revision: nowhere() });
    assert!(!world.git.contains(&source(), &nowhere()).await.unwrap());
    assert_eq!(world.git.read(&source(), &nowhere(), "x", 9).await, missing.clone().map(|()| None));
    assert_eq!(world.git.list(&source(), &nowhere(), "").await, missing.clone().map(|()| BTreeMap::new()));
    assert_eq!(world.git.changed(&source(), Some(&nowhere()), &one).await, missing.clone().map(|()| vec![]));
    assert_eq!(world.git.is_ancestor(&source(), &nowhere(), &one).await, missing.map(|()| true));
    // None of which is a reason to throw the copy away.
    let marker = world.cache().join("marker");
    std::fs::write(&marker, "").unwrap();
    world.git.fetch(&source()).await.unwrap();
    assert!(marker.exists());
}

#[tokio::test]
async fn links_are_listed_but_never_read_or_followed() {
    let world = World::new();
    world.write("real/values.yaml", "x");
    std::os::unix::fs::symlink("/etc/passwd", world.origin().join("link.yaml")).unwrap();
    std::os::unix::fs::symlink("real", world.origin().join("folder")).unwrap();
    let one = world.commit();
    refused(world.git.read(&source(), &one, "link.yaml", 1_000).await);
    assert_eq!(world.text(&one, "folder/values.yaml").await, None);
    let listed = world.git.list(&source(), &one, "").await.unwrap();
    assert_eq!(listed.keys().collect::<Vec<_>>(), ["folder", "link.yaml", "real/values.yaml"]);
}

#[tokio::test]
async fn paths_and_refs_that_lead_elsewhere_are_refused() {
    let world = World::new();
    let one = world.commit();
    for path in [
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a//b",
        "./a",
        "",
        "a/.",
        ".git/config",
        "a/.GIT/config",
        "a\0b",
        "a\nb",
        ":(glob)*",
        "a\\..\\b",
    ] {
        refused(world.git.read(&source(), &one, path, 9).await);
        if !path.is_empty() {
            refused(world.git.list(&source(), &one, path).await);
        }
    }
    assert_eq!(world.text(&one, "%2e%2e/x").await, None, "nothing is decoded");
    assert_eq!(world.text(&one, "--help").await, None);
    for reference in [
        "main",
        "-main",
        "--upload-pack=x",
        "refs/heads/-x",
        "refs/heads/main~1",
        "refs/heads/main^{commit}",
        "refs/heads/../x",
        "refs/heads/@{u}",
        "refs/heads/",
        "refs//x",
        "refs/heads/a b",
        "refs/heads/x.lock",
        "",
    ] {
        refused(world.git.head(&source(), reference).await);
    }
    refused(world.git.fetch(&"unknown".parse().unwrap()).await);
}

#[tokio::test]
async fn large_files_and_long_answers_are_cut_off() {
    let world = World::with(|settings| settings.max_output_bytes = 400);
    world.write("large", &"x".repeat(5_000));
    let one = world.commit();
    let large = SourceError::TooLarge { path: "large".into(), bytes: 5_000, limit: 4_999 };
    assert_eq!(world.git.read(&source(), &one, "large", 4_999).await, Err(large));
    assert_eq!(world.git.read(&source(), &one, "large", 5_000).await.unwrap().unwrap().len(), 5_000);
    for n in 0..40 {
        world.write(&format!("some-file-{n}"), "");
    }
    let two = world.commit();
    world.git.fetch(&source()).await.unwrap();
    let error = world.git.changed(&source(), Some(&one), &two).await.unwrap_err().to_string();
    assert!(error.ends_with("git gave more than 400 bytes"), "{error}");
}

#[tokio::test]
async fn a_file_address_must_be_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let not_allowed = Repository { allow_file: false, ..repository(folder.path()) };
    let refused = Git::new(GitSettings::new(folder.path(), "no-ssh"), [not_allowed]);
    assert!(matches!(refused, Err(GitError::Address { .. })));
    let twice = Git::new(
        GitSettings::new(folder.path(), "no-ssh"),
        [repository(folder.path()), repository(folder.path())],
    );
    assert!(matches!(twice, Err(GitError::Twice(_))));
}

#[tokio::test]
async fn what_a_killed_fetch_left_behind_is_removed() {
    let world = World::new();
    world.commit();
    world.git.fetch(&source()).await.unwrap();
    let two = world.commit();
    let cache = world.cache();
    for left in ["packed-refs.lock", "refs/heads/main.lock", "HEAD.lock", "objects/pack/tmp_pack_x"] {
        std::fs::write(cache.join(left), "").unwrap();
    }
    world.git.fetch(&source()).await.unwrap();
    assert_eq!(world.git.head(&source(), "refs/heads/main").await.unwrap(), Some(two));
    assert!(!cache.join("objects/pack/tmp_pack_x").exists());
}

#[tokio::test]
async fn a_fetch_that_outlived_its_process_is_waited_for() {
    let world = World::with(|settings| settings.timeout = Duration::from_secs(2));
    world.commit();
    world.git.fetch(&source()).await.unwrap();
    let lock = std::fs::File::open(world.cache().with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let source = source();
    let fetch = world.git.fetch(&source);
    let release = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(world.git.head(&source, "refs/heads/gone").await.unwrap(), None, "reads go on");
        drop(lock);
    };
    let (fetched, ()) = tokio::join!(fetch, release);
    fetched.unwrap();
}

#[tokio::test]
async fn a_broken_copy_is_made_again() {
    let world = World::new();
    world.write("values.yaml", "tag: 1\n");
    let one = world.commit();
    for damage in ["HEAD", "config", "objects"] {
        world.git.fetch(&source()).await.unwrap();
        let cache = world.cache();
        if damage == "objects" {
            let mut damaged = 0;
            for folder in std::fs::read_dir(cache.join("objects")).unwrap() {
                for object in std::fs::read_dir(folder.unwrap().path()).unwrap() {
                    let path = object.unwrap().path();
                    std::fs::remove_file(&path).unwrap();
                    std::fs::write(&path, "broken").unwrap();
                    damaged += 1;
                }
            }
            assert!(damaged > 0);
            assert!(world.git.read(&source(), &one, "values.yaml", 99).await.is_err());
        } else {
            std::fs::write(cache.join(damage), "broken").unwrap();
        }
        world.git.fetch(&source()).await.unwrap();
        assert_eq!(world.text(&one, "values.yaml").await.as_deref(), Some("tag: 1\n"), "{damage}");
    }
}

#[tokio::test]
async fn fetches_at_the_same_time_share_one() {
    // Each fetch leaves a line; `init` does not.
    let world = World::with(|settings| {
        let script = settings.cache_dir.with_file_name("counting-git");
        let count = settings.cache_dir.with_file_name("count");
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in *fetch*) echo . >>{}; sleep 0.2;; esac\nexec git \"$@\"\n",
            count.display()
        );
        executable(&script, &text);
        settings.program = script.into();
    });
    let one = world.commit();
    let source = source();
    let fetches = (0..20).map(|_| world.git.fetch(&source));
    for result in futures_util::future::join_all(fetches).await {
        result.unwrap();
    }
    let count = std::fs::read_to_string(world.folder.path().join("count")).unwrap().lines().count();
    assert!((1..=2).contains(&count), "{count} fetches");
    assert_eq!(world.git.head(&source, "refs/heads/main").await.unwrap(), Some(one));
}

#[tokio::test]
async fn a_git_that_hangs_is_killed() {
    let world = World::with(|settings| {
        let script = settings.cache_dir.with_file_name("hanging-git");
        executable(&script, "#!/bin/sh\nexec sleep 60\n");
        settings.program = script.into();
        settings.timeout = Duration::from_millis(300);
    });
    let start = Instant::now();
    let error = world.git.fetch(&source()).await.unwrap_err().to_string();
    assert!(error.ends_with("git took longer than 0.3 s"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_and_no_credential_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/values.git", listener.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository {
        username: Some("robot".into()),
        token: Some("canary-token".to_owned().into()),
        ..Repository::new(source(), url)
    };
    let settings = GitSettings {
        timeout: Duration::from_secs(1),
        ..GitSettings::new(folder.path().join("cache"), "no-ssh")
    };
    let git = Git::new(settings, [repository.clone()]).unwrap();
    let error = git.fetch(&source()).await.unwrap_err();
    assert!(error.to_string().contains("took longer"), "{error}");
    drop(listener);
    let error = git.fetch(&source()).await.unwrap_err();
    let said = format!("{error} {error:?} {repository:?}");
    assert!(!said.contains("canary") && !said.contains("cm9ib3Q6"), "{said}");
}

#[tokio::test]
async fn credentials_are_in_the_environment_of_a_fetch_alone_and_never_in_its_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen");
    let script = folder.path().join("telling-git");
    let told = seen.display();
    executable(
        &script,
        &format!(
            "#!/bin/sh\necho \"$@\" >>{told}.arguments\nenv >>{told}.$#\ncase \"$*\" in *fetch*) env >&2;; esac\nexit 1\n"
        ),
    );
    let token = Some("canary-token".to_owned().into());
    let repository = Repository { token, ..Repository::new(source(), "https://127.0.0.1:1/values.git") };
    let settings =
        GitSettings { program: script.into(), ..GitSettings::new(folder.path().join("cache"), "no-ssh") };
    let cache = settings.cache_dir.clone();
    let git = Git::new(settings, [repository]).unwrap();
    let error = git.fetch(&source()).await.unwrap_err();
    assert!(!error.to_string().contains("canary"), "{error}");
    // With a copy in place, it is the fetch that fails, and it says all it knows.
    let copy = std::fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path().with_extension("git");
    for part in ["objects", "refs", "HEAD"] {
        std::fs::create_dir_all(copy.join(part)).unwrap();
    }
    let error = git.fetch(&source()).await.unwrap_err().to_string();
    let basic = "eC1hY2Nlc3MtdG9rZW46Y2FuYXJ5LXRva2Vu";
    assert!(!error.contains("canary") && !error.contains(basic), "{error}");
    let arguments = std::fs::read_to_string(format!("{told}.arguments")).unwrap();
    assert!(!arguments.contains("canary") && !arguments.contains(basic), "{arguments}");
    let fetched = arguments.lines().last().unwrap().split(' ').count();
    let environment = std::fs::read_to_string(format!("{told}.{fetched}")).unwrap();
    assert!(environment.contains(basic) && environment.contains("GIT_ALLOW_PROTOCOL=https"));
    assert!(git.read(&source(), &nowhere(), "x", 9).await.is_err());
}

/// Written by another process: a file that this one has open for writing, in whatever thread, cannot be run.
fn executable(path: &Path, text: &str) {
    let write = ["-c", r#"printf %s "$1" >"$2" && chmod 755 "$2""#, "sh", text];
    assert!(Command::new("sh").args(write).arg(path).status().unwrap().success());
}

#[tokio::test]
async fn ssh_is_called_as_a_program_with_its_options_in_a_variable() {
    let world = World::new();
    world.write("a", "1");
    let commit = world.commit();
    // Stands in for ssh: notes what it was given, then does what the other machine would.
    let ssh = world.folder.path().join("an ssh's stand-in");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$0\" \"${SSH_OPTIONS}\" \"$@\" >'{0}'\nshift $(($# - 1))\nexec sh -c \"$1\"\n",
        world.folder.path().join("called").display()
    );
    std::fs::write(&ssh, script).unwrap();
    std::fs::set_permissions(&ssh, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut there = Repository::new(source(), format!("git@example.com:{}", world.origin().display()));
    there.ssh_key = Some("/keys/a key".into());
    let settings = GitSettings::new(world.folder.path().join("another"), ssh.to_str().unwrap());
    let git = Git::new(settings, [there]).unwrap();
    git.fetch(&source()).await.unwrap();
    assert_eq!(git.head(&source(), "refs/heads/main").await.unwrap(), Some(commit));
    let called = std::fs::read_to_string(world.folder.path().join("called")).unwrap();
    let called: Vec<_> = called.lines().collect();
    assert_eq!(called[0], ssh.to_str().unwrap());
    let options: Vec<String> = serde_json::from_str(called[1]).unwrap();
    assert!(options.ends_with(&["-i".into(), "/keys/a key".into()]), "{options:?}");
    assert!(
        called.contains(&"git@example.com") && called.last().unwrap().starts_with("git-upload-pack "),
        "{called:?}"
    );
}
