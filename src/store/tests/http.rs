use async_trait::async_trait;
use sqlx::AnyConnection;

use super::*;
use crate::store::writer::Write;
use crate::store::{Claim, GivenAnswer, HappeningKind, Kept, OverviewFilter, PlaceFilter};

fn given(body: &str) -> GivenAnswer {
    GivenAnswer { status: 202, location: Some("/here".into()), body: body.into() }
}

#[tokio::test]
async fn a_key_is_claimed_once_and_answers_the_same_for_a_day() {
    let store = Fixture::new().await;
    assert_eq!(store.claim("key", "wave 2", at(0)).await.unwrap(), Claim::Mine);
    assert_eq!(store.claim("key", "wave 2", at(1)).await.unwrap(), Claim::Underway);
    assert_eq!(store.claim("key", "wave 3", at(1)).await.unwrap(), Claim::Taken);
    assert_eq!(store.claim("other", "wave 2", at(1)).await.unwrap(), Claim::Mine);
    store.answer("key", Some(given("{}"))).await.unwrap();
    let day = 24 * 60 * 60;
    for second in [2, 100, day - 1] {
        assert_eq!(store.claim("key", "wave 2", at(second)).await.unwrap(), Claim::Answered(given("{}")));
    }
    assert_eq!(store.claim("key", "wave 3", at(day + 1)).await.unwrap(), Claim::Mine);
}

#[tokio::test]
async fn a_key_is_free_again_where_nothing_came_of_it() {
    let store = Fixture::new().await;
    assert_eq!(store.claim("key", "wave 2", at(0)).await.unwrap(), Claim::Mine);
    store.answer("key", None).await.unwrap();
    assert_eq!(store.claim("key", "wave 3", at(0)).await.unwrap(), Claim::Mine);
    // Whoever had it died with it.
    assert_eq!(store.claim("key", "wave 3", at(59)).await.unwrap(), Claim::Underway);
    assert_eq!(store.claim("key", "wave 3", at(61)).await.unwrap(), Claim::Mine);
}

#[tokio::test]
async fn what_moves_is_told_in_one_order_and_a_refused_step_is_not_told() {
    let store = Fixture::new().await;
    assert_eq!(store.kept().await.unwrap(), Kept::default());
    let (first, lease) = store.planned("first").await;
    let running = moved(&first, State::Running);
    let entries = [entry(&running)];
    store.save(save(&running, &entries, &[], &lease)).await.unwrap();
    store.save(save(&running, &entries, &[], &lease)).await.unwrap_err();
    let told = store.happenings(0, 10).await.unwrap();
    let shape: Vec<_> = told.iter().map(|row| (row.seq, row.kind, row.state.as_str(), row.version)).collect();
    assert_eq!(shape, [(1, HappeningKind::Created, "queued", 0), (2, HappeningKind::Moved, "running", 1)]);
    assert_eq!(told[0].customer.as_str(), "customer-a");
    assert_eq!(store.happenings(1, 10).await.unwrap(), told[1..]);
    assert_eq!(store.happenings(0, 1).await.unwrap(), told[..1]);
    assert_eq!(store.kept().await.unwrap(), Kept { oldest: 1, newest: 2 });
}

#[tokio::test]
async fn only_the_customers_that_are_asked_for_are_found() {
    let store = Fixture::new().await;
    store.planned("first").await;
    let within = |names: &[&str]| Some(names.iter().map(|name| id(name)).collect::<Vec<_>>());
    for (within, found) in [
        (None, 1),
        (within(&["customer-a"]), 1),
        (within(&["customer-b", "customer-a"]), 1),
        (within(&["customer"]), 0),
        (within(&["a"]), 0),
        (within(&[]), 0),
    ] {
        let filter = PlaceFilter { within: within.clone(), ..PlaceFilter::default() };
        let overview = OverviewFilter { places: filter, ..OverviewFilter::default() };
        assert_eq!(store.overview(&overview, 10).await.unwrap().value.len(), found, "{within:?}");
        assert_eq!(store.counts(within.as_deref()).await.unwrap().len(), found, "{within:?}");
    }
}

#[tokio::test]
async fn an_overview_is_searched_by_name_and_by_state() {
    let store = Fixture::new().await;
    store.planned("first").await;
    for (search, state, found) in [
        ("customer", "queued", 1),
        ("mer-a", "queued", 1),
        ("", "queued", 1),
        ("customer-b", "queued", 0),
        ("customer", "failed", 0),
        ("%", "queued", 0),
        ("customer_a", "queued", 0),
        ("!", "queued", 0),
        ("' OR 1=1 --", "queued", 0),
    ] {
        let (search, state) = (Some(search.to_owned()), Some(state.to_owned()));
        let filter = OverviewFilter { search, state, ..OverviewFilter::default() };
        let rows = store.overview(&filter, 10).await.unwrap().value;
        assert_eq!(rows.len(), found, "{filter:?}");
        assert!(rows.iter().all(|place| place.deployed.is_none()), "nothing succeeded so far");
    }
}

/// A row as if many thousand others had been written before it.
struct Leap;

#[async_trait]
impl Write for Leap {
    type Answer = ();

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO stream SELECT 20000, at, kind, deployment, customer, environment, state, version, \
             transitions FROM stream WHERE seq = 1",
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

#[tokio::test]
async fn what_moved_long_ago_is_let_go() {
    let store = Fixture::new().await;
    let (first, lease) = store.planned("first").await;
    store.write(Leap).await.unwrap();
    assert_eq!(store.kept().await.unwrap(), Kept { oldest: 1, newest: 20_000 });
    let running = moved(&first, State::Running);
    let entries = [entry(&running)];
    store.save(save(&running, &entries, &[], &lease)).await.unwrap();
    assert_eq!(store.kept().await.unwrap(), Kept { oldest: 20_000, newest: 20_001 });
}
