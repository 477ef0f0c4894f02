//! What a push touches, and what it does not.

use argocd_orchestrator::adapters::simulated::script::{At, Fail, How};
use argocd_orchestrator::domain::deployment::Removing;
use argocd_orchestrator::domain::names::Revision;
use argocd_orchestrator::domain::plan::Action;
use argocd_orchestrator::domain::removal::RemovedServices;

use crate::support::repo::{Repo, TEMPLATE, values, values_file};
use crate::support::world::{World, touched};
use crate::support::{MAIN, push};

const A: &str = "customer-a";

/// After everything was deployed, a push of this change syncs exactly these.
async fn check(change: impl FnOnce(&Repo), services: &[&str], reason: &str) {
    let world = World::new(&[A]);
    let running = world.deployed().await;
    let before = world.repo.head();
    change(&world.repo);
    let after = world.repo.commit();

    let event = running.pushed(Some(&before), &after).await;
    let ended = running.all_of(&event).await.remove(0);
    assert_eq!(ended.state().word(), "succeeded", "{:?}", ended.state());
    assert_eq!(touched(&ended), services);
    for change in ended.brief.plan.touched() {
        let reasons: Vec<String> = change.reasons.iter().map(ToString::to_string).collect();
        assert_eq!(reasons, [reason], "{}", change.name());
        assert_eq!(running.pinned(change.app.as_str()).await, after);
    }
    for change in ended.brief.plan.changes.iter().filter(|change| change.action != Action::Sync) {
        assert_eq!(running.pinned(change.app.as_str()).await, before, "{}", change.name());
    }
    assert_eq!(running.violations(&ended), 0);
    running.stop().await;
}

/// After everything was deployed, this push starts nothing, for this reason.
async fn check_ignored(change: impl FnOnce(&Repo, &Revision) -> serde_json::Value, reason: &str) {
    let world = World::new(&[A]);
    let running = world.deployed().await;
    let payload = change(&world.repo, &world.repo.head());
    let event = running.submit(&[], &payload).await;
    assert_eq!(running.ignored(&event).await, reason);
    assert_eq!(running.deployments().await.len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn the_first_push_deploys_everything_in_order() {
    let world = World::new(&[A]);
    let running = world.start().await;
    let after = world.repo.head();
    let ended = running.deploy_one(&after).await;
    assert_eq!(ended.state().word(), "succeeded");
    assert_eq!(touched(&ended), ["base", "postgres", "stats", "user-service", "web"]);
    assert_eq!(running.violations(&ended), 0);
    let syncs = running.syncs(&after);
    assert!(syncs.len() == 5 && syncs.values().all(|count| *count == 1), "{syncs:?}");
    assert_eq!(ended.brief.requested_by, "alice");
    running.stop().await;
}

#[tokio::test]
async fn a_new_image_tag_touches_only_what_follows_it() {
    let change = |repo: &Repo| repo.replace(&values_file(A), r#""v1""#, r#""v2""#);
    check(change, &["user-service", "web"], "image tag v1 -> v2").await;
}

#[tokio::test]
async fn an_image_of_one_service_touches_that_service() {
    let change = |repo: &Repo| repo.replace(&values_file(A), "rtte/stats:v1", "rtte/stats:v2");
    check(change, &["stats"], "image rtte/stats:v1 -> rtte/stats:v2").await;
}

#[tokio::test]
async fn settings_of_one_service_touch_that_service() {
    let change = |repo: &Repo| repo.replace(&values_file(A), "replicas: 1", "replicas: 2");
    check(change, &["user-service"], "values").await;
}

#[tokio::test]
async fn a_shared_config_map_touches_the_shared_part() {
    let change = |repo: &Repo| repo.replace(&values_file(A), "customer-a-app-config", "customer-a-settings");
    check(change, &["base"], "values").await;
}

#[tokio::test]
async fn a_template_touches_everything() {
    let change = |repo: &Repo| repo.write(TEMPLATE, "kind: StatefulSet\n");
    check(change, &["base", "postgres", "stats", "user-service", "web"], "chart").await;
}

#[tokio::test]
async fn a_new_dependency_touches_the_service_that_has_it() {
    let change = |repo: &Repo| {
        repo.replace(&values_file(A), "dependencies: [user-service]", "dependencies: [user-service, stats]")
    };
    check(change, &["web"], "dependencies").await;
}

#[tokio::test]
async fn a_comment_in_the_values_deploys_nothing() {
    let change = |repo: &Repo, before: &Revision| {
        repo.write(&values_file(A), &format!("# A remark.\n{}", values(A)));
        push(MAIN, Some(before), Some(&repo.commit()))
    };
    check_ignored(change, "customer-a: nothing that is deployed changed").await;
}

#[tokio::test]
async fn a_file_that_no_chart_has_deploys_nothing() {
    let change = |repo: &Repo, before: &Revision| {
        repo.write("README.md", "Read this.\n");
        push(MAIN, Some(before), Some(&repo.commit()))
    };
    check_ignored(change, "customer-a: nothing changed").await;
}

#[tokio::test]
async fn a_branch_that_is_not_configured_deploys_nothing() {
    let change = |repo: &Repo, before: &Revision| {
        repo.git(&["checkout", "--quiet", "-b", "feature"]);
        push("refs/heads/feature", Some(before), Some(&repo.new_tag(A, "v2")))
    };
    check_ignored(change, "refs/heads/feature deploys nothing").await;
}

#[tokio::test]
async fn a_git_tag_deploys_nothing() {
    let change = |repo: &Repo, before: &Revision| {
        repo.git(&["tag", "v1.0.0"]);
        push("refs/tags/v1.0.0", None, Some(before))
    };
    check_ignored(change, "refs/tags/v1.0.0 deploys nothing").await;
}

#[tokio::test]
async fn a_deleted_branch_deploys_nothing() {
    let change = |repo: &Repo, before: &Revision| {
        repo.git(&["checkout", "--quiet", "-b", "other"]);
        repo.git(&["branch", "--quiet", "-D", "main"]);
        push(MAIN, Some(before), None)
    };
    check_ignored(change, "refs/heads/main was deleted").await;
}

#[tokio::test]
async fn the_ping_of_a_new_webhook_deploys_nothing() {
    let ping = |_: &Repo, _: &Revision| {
        serde_json::json!({"zen": "Keep it simple.", "hook_id": 1, "X-GitHub-Event": "ping",
            "repository": {"full_name": crate::support::REPOSITORY}})
    };
    check_ignored(ping, "`ping` starts nothing").await;
}

#[tokio::test]
async fn a_push_of_one_customer_leaves_the_others_alone() {
    let world = World::new(&[A, "customer-b"]);
    let running = world.deployed().await;
    let before = world.repo.head();
    let after = world.repo.new_tag("customer-b", "v2");
    let event = running.pushed(Some(&before), &after).await;
    let all = running.all_of(&event).await;
    let customers: Vec<&str> = all.iter().map(|ended| ended.brief.plan.customer.as_str()).collect();
    assert_eq!(customers, ["customer-b"]);
    assert!(running.syncs(&after).keys().all(|app| app.starts_with("customer-b-")));
    running.stop().await;
}

#[tokio::test]
async fn a_service_that_is_gone_is_reported_and_left_running() {
    let world = World::new(&[A]);
    let running = world.deployed().await;
    world.repo.replace(
        &values_file(A),
        "      - name: stats\n        image: rtte/stats:v1\n        dependencies: []\n",
        "",
    );
    let ended = running.deploy_one(&world.repo.new_tag(A, "v2")).await;
    assert_eq!(ended.state().word(), "succeeded");
    assert_eq!(ended.brief.plan.removed.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["stats"]);
    assert!(running.app.cluster.application(&"customer-a-stats".parse().unwrap()).await.unwrap().is_some());
    running.stop().await;
}

/// Takes `web` and `user-service`, which it needs, out of the values.
fn without_two(world: &World) {
    let file = values_file(A);
    let web = "  frontend:\n    sync-wave: 3\n    services:\n      - name: web\n        \
               image: rtte/web:{{ .Values.global.imageTag }}\n        dependencies: [user-service]\n";
    let user = "      - name: user-service\n        image: rtte/user-service:{{ .Values.global.imageTag }}\n        \
                dependencies: [postgres]\n        replicas: 1\n";
    world.repo.replace(&file, web, "");
    world.repo.replace(&file, user, "");
}

#[tokio::test]
async fn services_that_are_gone_are_removed_in_reverse_order_where_the_policy_says_so() {
    let mut world = World::new(&[A]);
    world.config.sync_wave.removed_services = RemovedServices::Prune;
    let running = world.deployed().await;
    without_two(&world);
    let ended = running.deploy_one(&world.repo.new_tag(A, "v2")).await;
    assert_eq!(ended.state().word(), "succeeded", "{:?}", ended.state());
    let removed: Vec<(&str, &str)> = ended
        .removals()
        .map(|(removal, state)| (removal.service.as_str(), state.map_or("-", Removing::word)))
        .collect();
    assert_eq!(removed, [("web", "removed"), ("user-service", "removed")]);
    for service in ["web", "user-service"] {
        let name = format!("{A}-{service}").parse().unwrap();
        assert_eq!(running.app.cluster.application(&name).await.unwrap(), None, "{service}");
    }
    let plan = &ended.brief.plan;
    let known = running.app.store.baselines(&plan.customer, &plan.environment).await.unwrap().value;
    assert_eq!(known.keys().map(String::as_str).collect::<Vec<_>>(), ["base", "postgres", "stats"]);
    running.stop().await;
}

#[tokio::test]
async fn nothing_is_removed_by_a_push_that_fails() {
    let mut world = World::new(&[A]);
    world.config.sync_wave.removed_services = RemovedServices::Prune;
    world.fail("postgres", Fail { at: At::LaterRevisions, ..Fail::always(How::SyncFailed) });
    let running = world.deployed().await;
    without_two(&world);
    world.repo.replace(&values_file(A), "postgres:15-alpine", "postgres:16-alpine");
    let ended = running.deploy_one(&world.repo.commit()).await;
    assert_eq!(ended.state().word(), "failed");
    assert_eq!(ended.removals().filter(|(_, state)| state.is_some()).count(), 0);
    assert!(running.app.cluster.application(&format!("{A}-web").parse().unwrap()).await.unwrap().is_some());
    running.stop().await;
}
