//! The scenarios, by name.

mod gate;
mod measure;
mod order;
mod policies;
mod removed;
mod rights;
mod rollback;
mod rollouts;
mod sets;
mod tenants;
mod traces;
mod trouble;
mod whole;

use crate::world::World;

/// One scenario.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Whether it belongs to the set that every change has to pass.
    pub(crate) smoke: bool,
    pub(crate) run: fn(&mut World) -> anyhow::Result<()>,
}

/// All of them.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "55-microservices-deployment",
        about: "55 services from nothing, wave by wave; then one image touches one service",
        // In .ci/run 55 services come through real sensors: scripts/test-argo-events.sh, customer-pods.
        smoke: false,
        run: order::whole_customer,
    },
    Scenario {
        name: "dependency-resolution",
        about: "55 services from nothing, each as soon as its own dependencies are healthy",
        smoke: false,
        run: order::by_dependencies,
    },
    Scenario {
        name: "config-as-code",
        about: "55 services of the other values format, whose values stand in the Applications",
        smoke: false,
        run: order::config_as_code,
    },
    Scenario {
        name: "one-application",
        about: "55 services in one Application by partial syncs, in both orders; then one image touches one service",
        smoke: false,
        run: whole::both_orders,
    },
    Scenario {
        name: "one-application-rollback",
        about: "one Application: slow readiness holds dependants, a failing service takes all back in reverse",
        smoke: true,
        run: whole::taken_back,
    },
    Scenario {
        name: "one-application-disturbed",
        about: "one Application with values of its own: killed four times, then somebody else syncs in between",
        smoke: false,
        run: whole::disturbed,
    },
    Scenario {
        name: "sync-wave-orchestration",
        about: "a wave waits for the slowest pod of the wave before it",
        smoke: true,
        run: order::slow_wave,
    },
    Scenario {
        name: "health-check-workflows",
        about: "old pods that still serve, slow readiness and flapping do not fool the gate",
        smoke: true,
        run: gate::not_fooled,
    },
    Scenario {
        name: "rollback-scenarios",
        about: "a failing service takes back all that was advanced, in reverse, and stays back",
        smoke: true,
        run: rollback::in_reverse,
    },
    Scenario {
        name: "application-sets",
        about: "Applications that Argo CD makes from a set which is applied here; their pins stay",
        smoke: false,
        run: sets::made_by_argo_cd,
    },
    Scenario {
        name: "application-sets-config-as-code",
        about: "the same where values stand in the Applications: they come with the pin",
        smoke: false,
        run: sets::config_as_code,
    },
    Scenario {
        name: "auto-sync-policies",
        about: "Applications that follow a branch: refused, watched, or driven with automated sync off",
        smoke: false,
        run: policies::followed_branches,
    },
    Scenario {
        name: "removed-services",
        about: "services taken out of the values are kept, or removed in reverse order with all of their objects",
        smoke: false,
        run: removed::kept_or_gone,
    },
    Scenario {
        name: "argo-rollouts",
        about: "a blue-green service is promoted, a canary goes its steps, a failing one is aborted",
        smoke: true,
        run: rollouts::promoted_and_aborted,
    },
    Scenario {
        name: "rollout-analysis",
        about: "a canary is judged by its analysis, and no traffic is no verdict",
        smoke: false,
        run: rollouts::analysed,
    },
    Scenario {
        name: "permissions",
        about: "what the service account of k8s/rbac may do, and what not",
        smoke: true,
        run: rights::least,
    },
    Scenario {
        name: "multi-tenant-deployments",
        about: "ten customers of ten services at once, one of them failing",
        smoke: false,
        run: tenants::ten_at_once,
    },
    Scenario {
        name: "somebody-else",
        about: "somebody syncs, deletes an Application, or closes a sync window in between",
        smoke: true,
        run: trouble::somebody_else,
    },
    Scenario {
        name: "recorded-traces",
        about: "what Argo CD shows during syncs that succeed, fail, are retried, stopped and overtaken",
        smoke: false,
        run: traces::record,
    },
    Scenario {
        name: "side-by-side",
        about: "how long 55 services take: ours in both orders, RollingSync, one Application with waves",
        smoke: false,
        run: measure::side_by_side,
    },
    Scenario {
        name: "argo-cd-away",
        about: "Argo CD's controller is killed for 60 s in mid-wave",
        smoke: false,
        run: trouble::controller_away,
    },
    Scenario {
        name: "api-server-away",
        about: "the API server is stopped for 60 s in mid-wave",
        smoke: false,
        run: trouble::api_server_away,
    },
    Scenario {
        name: "killed-again-and-again",
        about: "kill -9 of the server twenty times during one deployment: no sync is repeated",
        smoke: false,
        run: trouble::killed,
    },
];
