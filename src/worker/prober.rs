//! Asks the services of one deployment whether they are well, for as long as something follows from the answer.
//!
//! When that is, and which check, the deployment says ([`Deployment::occasion`]); when the next attempt is due and
//! what the answers mean, each check's [`Watch`] does. Here attempts are begun and their ends waited for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::{Id, JoinError, JoinSet};

use super::positive;
use crate::app::App;
use crate::domain::deployment::{Deployment, Occasion};
use crate::domain::probe::breaker::Rules;
use crate::domain::probe::watch::Watch;
use crate::domain::probe::{self, Outcome, Question, Verdict};
use crate::ports::Probe;

/// Attempts of one deployment at once.
const AT_ONCE: usize = 16;

/// The checks of one deployment. Whoever drops it ends what is under way.
pub(super) struct Prober {
    probe: Option<Arc<dyn Probe>>,
    breaker: Rules,
    checks: BTreeMap<u32, Check>,
    /// How many checks were begun: what an attempt of an earlier one gives does not count.
    begun: u64,
    attempts: JoinSet<Outcome>,
    of: HashMap<Id, Attempt>,
}

/// One service's checks on one occasion.
struct Check {
    occasion: Occasion,
    number: u64,
    timeout: Duration,
    questions: Vec<(Question, Watch)>,
}

/// What an attempt is for.
struct Attempt {
    change: u32,
    number: u64,
    question: usize,
}

impl Check {
    fn verdict(&self) -> Verdict {
        let verdicts = self.questions.iter().map(|(_, watch)| watch.verdict().clone());
        verdicts.reduce(Verdict::and).unwrap_or(Verdict::Passing)
    }
}

impl Prober {
    pub(super) fn new(app: &App) -> Self {
        Self {
            probe: app.probe.clone(),
            breaker: app.config.microservices.health_check.breaker(),
            checks: BTreeMap::new(),
            begun: 0,
            attempts: JoinSet::new(),
            of: HashMap::new(),
        }
    }

    /// Asks what the deployment wants to know now, and nothing else.
    pub(super) fn follow(&mut self, deployment: &Deployment) {
        if self.probe.is_none() {
            return;
        }
        let now = Timestamp::now();
        let plan = &deployment.brief.plan;
        for (change, planned) in (0..).zip(&plan.changes) {
            let wanted = deployment.health_check(change).zip(deployment.occasion(change));
            let Some((check, occasion)) = wanted else {
                self.checks.remove(&change);
                continue;
            };
            if let Some(known) = self.checks.get_mut(&change)
                && occasion.follows(&known.occasion)
            {
                known.occasion = occasion;
                continue;
            }
            self.begun += 1;
            let questions = probe::questions(check, &plan.namespace, &planned.app).into_iter();
            let rules = probe::rules(check, self.breaker);
            let new = Check {
                occasion,
                number: self.begun,
                timeout: Duration::from_secs(check.timeout_seconds.into()),
                questions: questions.map(|question| (question, Watch::new(rules, now))).collect(),
            };
            self.checks.insert(change, new);
        }
    }

    /// What a service's checks say by now; none where it has none, or none is made.
    pub(super) fn verdict(&self, deployment: &Deployment, change: u32) -> Option<Verdict> {
        self.probe.as_ref()?;
        deployment.health_check(change)?;
        Some(self.checks.get(&change).map_or_else(Verdict::untried, Check::verdict))
    }

    /// The next service of which its checks say something else than before. Waits for as long as that takes, and
    /// may be given up at any moment.
    pub(super) async fn changed(&mut self) -> u32 {
        loop {
            let next = self.begin();
            let pause = async {
                match next {
                    Some(due) => tokio::time::sleep(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(ended) = self.attempts.join_next_with_id() => {
                    if let Some(change) = self.ended(ended) {
                        return change;
                    }
                }
                () = pause => {}
            }
        }
    }

    /// Begins what is due. Answers how long it is until more may be; none where nothing is to come, or an end has to
    /// be waited for first.
    fn begin(&mut self) -> Option<Duration> {
        let probe = self.probe.as_ref()?;
        let now = Timestamp::now();
        let mut next: Option<Timestamp> = None;
        for (change, check) in &mut self.checks {
            for (position, (question, watch)) in check.questions.iter_mut().enumerate() {
                let Some(due) = watch.due() else { continue };
                if due > now {
                    next = Some(next.map_or(due, |other| other.min(due)));
                    continue;
                }
                if self.attempts.len() >= AT_ONCE {
                    return None;
                }
                if watch.begin(now) {
                    let (probe, question, within) = (Arc::clone(probe), question.clone(), check.timeout);
                    let attempt = self.attempts.spawn(async move { probe.ask(&question, within).await });
                    let of = Attempt { change: *change, number: check.number, question: position };
                    self.of.insert(attempt.id(), of);
                }
            }
        }
        next.map(|due| positive(due.duration_since(now)))
    }

    /// Takes in what an attempt gave; answers its service where that changes what its checks say.
    fn ended(&mut self, ended: Result<(Id, Outcome), JoinError>) -> Option<u32> {
        let (id, outcome) = ended.unwrap_or_else(|error| {
            tracing::error!(%error, "an attempt of a health check crashed");
            (error.id(), Outcome::Silent { reason: "the attempt crashed".into() })
        });
        let Attempt { change, number, question } = self.of.remove(&id)?;
        let check = self.checks.get_mut(&change).filter(|check| check.number == number)?;
        let before = check.verdict();
        let (_, watch) = check.questions.get_mut(question)?;
        watch.take(outcome, Timestamp::now());
        (check.verdict() != before).then_some(change)
    }
}
