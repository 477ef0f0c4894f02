use super::*;

fn remember(service: &str, digit: char, keep: u32) -> Effect {
    Effect::Remember { service: service.into(), baseline: baseline(digit), keep }
}

fn quarantine(service: &str, digit: char) -> Effect {
    let fingerprint = baseline(digit).rendering.fingerprint().to_string();
    Effect::Quarantine { service: service.into(), fingerprint, reason: "it crashed".into() }
}

/// Does these, one step after another, and says what is left: the revisions of `web` (the newest first, by their
/// digit), and the quarantined services with their number of contents.
async fn check(effects: &[Effect], revisions: &str, quarantined: &[(&str, usize)]) {
    let store = Fixture::new().await;
    let (mut deployment, lease) = store.planned("first").await;
    for effect in effects {
        deployment = moved(&deployment, State::Running);
        let outward = store.save(save(&deployment, &[], std::slice::from_ref(effect), &lease)).await.unwrap();
        assert!(outward.is_empty());
    }
    let (customer, environment) = (id("customer-a"), id("production"));
    let rows = store.history(&customer, &environment, Some("web")).await.unwrap().value;
    let found: String = rows.iter().map(|row| &row.baseline.revision.as_str()[..1]).collect();
    assert_eq!(found, revisions);
    let baselines = store.baselines(&customer, &environment).await.unwrap().value;
    assert_eq!(baselines.get("web"), rows.first().map(|row| &row.baseline));
    let found = store.quarantined(&customer, &environment).await.unwrap().value;
    let found: Vec<_> = found.iter().map(|(service, rows)| (service.as_str(), rows.len())).collect();
    assert_eq!(found, quarantined);

    let named = ["web".to_owned()];
    store.release(&customer, &environment, Some(&named)).await.unwrap();
    assert!(!store.quarantined(&customer, &environment).await.unwrap().value.contains_key("web"));
    store.release(&customer, &environment, None).await.unwrap();
    assert!(store.quarantined(&customer, &environment).await.unwrap().value.is_empty());
}

#[tokio::test]
async fn the_newest_revisions_are_kept() {
    let effects: Vec<_> = "abcde".chars().map(|digit| remember("web", digit, 3)).collect();
    check(&effects, "edc", &[]).await;
}

#[tokio::test]
async fn after_a_rollback_the_earlier_revision_is_the_baseline() {
    let effects = [remember("web", 'a', 5), remember("web", 'b', 5), remember("web", 'a', 5)];
    check(&effects, "ab", &[]).await;
}

#[tokio::test]
async fn one_service_does_not_push_out_the_revisions_of_another() {
    let effects = [remember("web", 'a', 1), remember("api", 'b', 1), remember("api", 'c', 1)];
    check(&effects, "a", &[]).await;
}

#[tokio::test]
async fn content_that_failed_is_quarantined_until_it_is_healthy() {
    let effects =
        [quarantine("web", 'a'), quarantine("web", 'b'), quarantine("web", 'b'), quarantine("api", 'a')];
    check(&effects, "", &[("api", 1), ("web", 2)]).await;
    let healthy = [quarantine("web", 'a'), quarantine("web", 'b'), remember("web", 'a', 5)];
    check(&healthy, "a", &[("web", 1)]).await;
}

#[tokio::test]
async fn a_service_that_was_removed_is_forgotten_and_no_other_one() {
    let forget = Effect::Forget { service: "web".into() };
    check(&[remember("web", 'a', 5), quarantine("web", 'b'), forget.clone()], "", &[]).await;
    let api = [remember("web", 'a', 5), quarantine("api", 'b'), Effect::Forget { service: "api".into() }];
    check(&api, "a", &[]).await;
    check(&[forget, remember("web", 'b', 5)], "b", &[]).await;
}
