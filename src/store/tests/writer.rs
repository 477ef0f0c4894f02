use std::sync::Arc;

use async_trait::async_trait;
use sqlx::AnyConnection;
use tokio::sync::Semaphore;

use super::*;
use crate::store::EventFilter;
use crate::store::writer::Write;

/// Holds the writer up until a permit is there.
struct Hold(Arc<Semaphore>);

#[async_trait]
impl Write for Hold {
    type Answer = ();

    async fn run(&self, _: &mut AnyConnection) -> Result<(), StoreError> {
        self.0.acquire().await.unwrap().forget();
        Ok(())
    }
}

/// Fails as told, after it has written something.
struct Fail(StoreError);

#[async_trait]
impl Write for Fail {
    type Answer = ();

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO leases (name, epoch, holder, since_at) VALUES ('x', 1, 'x', 1)")
            .execute(connection)
            .await?;
        Err(self.0.clone())
    }
}

/// Runs a statement on the connection that writes.
struct Sql(String);

#[async_trait]
impl Write for Sql {
    type Answer = ();

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        sqlx::query(sqlx::AssertSqlSafe(self.0.clone())).execute(connection).await?;
        Ok(())
    }
}

async fn count(store: &Store) -> usize {
    store.events(&EventFilter::default(), 1000).await.unwrap().value.len()
}

/// The writer is busy until the semaphore gets a permit.
async fn held(store: &Store) -> (Arc<Semaphore>, tokio::task::JoinHandle<Result<(), StoreError>>) {
    let permits = Arc::new(Semaphore::new(0));
    let (held, hold) = (store.clone(), Hold(Arc::clone(&permits)));
    let task = tokio::spawn(async move { held.write(hold).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    (permits, task)
}

fn burst(store: &Store, events: u32) -> Vec<tokio::task::JoinHandle<Result<Accepted, StoreError>>> {
    let accept = |index| {
        let (store, mut event) = (store.clone(), push_event(&format!("e{index}"), 'a', 'b'));
        if let Trigger::Push(push) = &mut event.request.trigger {
            push.reference = format!("refs/heads/{index}");
        }
        tokio::spawn(async move { store.accept(event).await })
    };
    (0..events).map(accept).collect()
}

#[tokio::test]
async fn what_is_queued_together_is_committed_together() {
    let store = Fixture::new().await;
    let (permits, hold) = held(&store).await;
    let tasks = burst(&store, 100);
    tokio::time::sleep(Duration::from_millis(20)).await;
    permits.add_permits(1);
    hold.await.unwrap().unwrap();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let stats = store.stats();
    assert_eq!((stats.writes, stats.commits), (101, 3), "1, 64 and 36 writes");
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let store = Fixture::with(|settings| Settings { queue: 2, ..settings }).await;
    let (permits, hold) = held(&store).await;
    let tasks = burst(&store, 3);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let refused = store.accept(push_event("late", 'c', 'd')).await;
    assert_eq!(refused, Err(StoreError::Busy { queued: 2 }));
    permits.add_permits(1);
    hold.await.unwrap().unwrap();
    let mut stored = 0;
    for task in tasks {
        stored += usize::from(task.await.unwrap().is_ok());
    }
    assert_eq!((stored, count(&store).await), (2, 2));
}

#[tokio::test]
async fn a_write_that_fails_does_not_fail_its_batch() {
    let refused = StoreError::NotFound("x".into());
    for error in [refused, StoreError::Unavailable("x".into())] {
        let store = Fixture::new().await;
        let (permits, hold) = held(&store).await;
        let mut tasks = burst(&store, 5);
        let (failing, fail) = (store.store.clone(), Fail(error.clone()));
        let failing = tokio::spawn(async move { failing.write(fail).await });
        tokio::time::sleep(Duration::from_millis(5)).await;
        tasks.extend(burst(&store, 10).split_off(5));
        tokio::time::sleep(Duration::from_millis(20)).await;
        permits.add_permits(1);
        hold.await.unwrap().unwrap();
        for task in tasks {
            assert!(!task.await.unwrap().unwrap().duplicate);
        }
        assert_eq!(failing.await.unwrap(), Err(error.clone()));
        assert_eq!(count(&store).await, 10);
        // What it had written is gone: it can be written once more.
        assert_eq!(store.write(Fail(error.clone())).await, Err(error));
    }
}

#[tokio::test]
async fn after_a_failed_disk_nothing_is_written_any_more() {
    let store = Fixture::new().await;
    store.accept(push_event("before", 'a', 'b')).await.unwrap();
    let (permits, hold) = held(&store).await;
    let (failing, tasks) = (store.store.clone(), burst(&store, 3));
    let disk = StoreError::Disk("disk I/O error".into());
    let fail = Fail(disk.clone());
    let failing = tokio::spawn(async move { failing.write(fail).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    permits.add_permits(1);
    hold.await.unwrap().unwrap();
    assert_eq!(failing.await.unwrap(), Err(disk.clone()));
    for task in tasks {
        assert_eq!(task.await.unwrap(), Err(disk.clone()), "it was in the same batch");
    }
    let refused = store.accept(push_event("after", 'c', 'd')).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(store.writable().is_err());
    assert_eq!(count(&store).await, 1, "reads go on");
}

#[tokio::test]
async fn a_full_disk_is_named_and_writes_go_on_once_there_is_space() {
    let store = Fixture::new().await;
    store.write(Sql("PRAGMA max_page_count = 1".into())).await.unwrap();
    let mut large = push_event("large", 'a', 'b');
    large.request.requested_by = "x".repeat(1 << 20);
    assert_eq!(store.accept(large.clone()).await, Err(StoreError::Full));
    assert_eq!(count(&store).await, 0);
    store.write(Sql("PRAGMA max_page_count = 1000000".into())).await.unwrap();
    store.accept(large).await.unwrap();
    assert_eq!(count(&store).await, 1);
}

#[tokio::test]
async fn whoever_stops_waiting_finds_it_stored_as_a_whole_or_not_at_all() {
    let store = Fixture::new().await;
    drop(store.accept(push_event("never-polled", 'a', 'b')));
    tokio::select! {
        biased;
        _ = store.accept(push_event("polled-once", 'c', 'd')) => unreachable!("a commit takes a while"),
        () = std::future::ready(()) => {}
    }
    store.close().await;
    let again = store.beside().await;
    assert!(again.event(&id("never-polled")).await.unwrap().is_none());
    assert!(again.event(&id("polled-once")).await.unwrap().is_some());
}

#[tokio::test]
async fn closing_commits_what_waits_and_refuses_what_comes_later() {
    let store = Fixture::new().await;
    let (permits, hold) = held(&store).await;
    let tasks = burst(&store, 10);
    tokio::time::sleep(Duration::from_millis(20)).await;
    permits.add_permits(1);
    store.close().await;
    hold.await.unwrap().unwrap();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert!(matches!(store.accept(push_event("x", 'a', 'b')).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.poll().await, Err(StoreError::Unavailable(_))));
    assert_eq!(count(&store.beside().await).await, 10);
}

#[tokio::test]
async fn a_commit_wakes_those_who_wait_in_every_process() {
    let store = Fixture::new().await;
    let other = store.beside().await;
    let (mut here, mut there) = (store.changed(), other.changed());
    assert!(!other.poll().await.unwrap());
    store.accept(push_event("1", 'a', 'b')).await.unwrap();
    assert!(here.has_changed().unwrap());
    assert!(!there.has_changed().unwrap());
    assert!(other.poll().await.unwrap());
    assert!(!other.poll().await.unwrap());
    there.changed().await.unwrap();
    here.changed().await.unwrap();
}

#[tokio::test]
async fn stored_values_that_cannot_be_read_do_not_hide_the_others() {
    let store = Fixture::new().await;
    let (first, lease) = store.planned("first").await;
    let event = store.accept(push_event("second", 'b', 'c')).await.unwrap().event;
    store.settle_event(settlement(&event, vec![deployment("second")], &lease)).await.unwrap();
    store.accept(push_event("third", 'c', 'd')).await.unwrap();
    store.accept(push_event("fourth", 'd', 'e')).await.unwrap();
    for sql in [
        "UPDATE deployments SET progress = '{' WHERE id = 'second'",
        "UPDATE events SET request = '[]' WHERE id = 'third'",
    ] {
        store.write(Sql(sql.into())).await.unwrap();
    }
    let found = store.unfinished().await.unwrap();
    assert_eq!((found.value, found.broken[0].id.as_str()), (vec![first], "second"));
    let error = store.deployment(&id("second")).await.unwrap_err();
    assert!(matches!(error, StoreError::Data { .. }), "{error}");
    let found = store.pending_events(at(9), 9).await.unwrap();
    assert_eq!((found.value[0].id.as_str(), found.broken[0].id.as_str()), ("fourth", "third"));
}
