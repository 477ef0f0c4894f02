//! What a step is asked: its options, each a text as a workflow's parameters are, understood.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

use super::{Fault, Manifest, Name, StepExit};
use crate::client::Wanted;
use crate::domain::names::{
    CustomerId, DeploymentId, Environment, Namespace, Revision, ServiceName, SourceName, Wave,
};
use crate::domain::nearest::nearest;
use crate::domain::values::is_image_tag;

/// How long a step may take where nothing is said.
const TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// The longest time that a step may be given: a week.
const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long a text may be that people write.
const TEXT: usize = 4_096;

/// How long the list of a workflow's failures may be; Linux takes no longer argument than half of it.
const FAILURES: usize = 256 << 10;

/// A deployment, as far as one is named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Which {
    /// The option is not there.
    #[default]
    NotSaid,
    /// It is empty: there was nothing to deploy.
    Nothing,
    /// This one.
    One(DeploymentId),
}

/// What a step is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Which step.
    pub step: Name,
    /// Whose services.
    pub customer: Option<CustomerId>,
    /// Where; where there is more than one environment.
    pub environment: Option<Environment>,
    /// The configured repository, where there is more than one.
    pub source: Option<SourceName>,
    /// The commit; none for the head of the configured ref.
    pub revision: Option<Revision>,
    /// The image tag that is meant.
    pub image_tag: Option<String>,
    /// The workflow; what one asks for twice is done once.
    pub workflow: Option<String>,
    /// Which attempt of the workflow's step this is, from 0.
    pub attempt: u32,
    /// How long it may take.
    pub timeout: Duration,
    /// Only this wave.
    pub wave: Option<Wave>,
    /// Also what did not change, and what failed before.
    pub force: bool,
    /// The deployment that it is about.
    pub deployment: Which,
    /// Only this service.
    pub service: Option<ServiceName>,
    /// Whether the end is waited for.
    pub wait: bool,
    /// Why, for those who look later.
    pub reason: Option<String>,
    /// How the workflow ended.
    pub status: Option<String>,
    /// What failed in the workflow, as its `{{workflow.failures}}` says.
    pub failures: Option<String>,
    /// Where the objects are that it looks at.
    pub namespace: Option<Namespace>,
    /// What is applied first.
    pub manifests: Vec<Manifest>,
    /// Whether fields that others set are taken over.
    pub force_conflicts: bool,
    /// Who writes to Git.
    pub author: Option<String>,
}

impl Request {
    /// Understands the options of a step. An empty text is an option that is not given, but for `deployment-id`, where
    /// it says that there is nothing to do.
    ///
    /// # Errors
    /// When an option is not one of the step's, one is missing, or a text is not what it has to be.
    pub fn parse(step: Name, options: &BTreeMap<String, String>) -> Result<Self, Fault> {
        if let Some(unknown) = options.keys().find(|key| !step.options().any(|known| known == *key)) {
            let hint = match nearest(unknown, step.options()) {
                Some(near) => format!("; `{near}`?"),
                None => format!("; it takes {}", step.options().collect::<Vec<_>>().join(", ")),
            };
            let shown: String = unknown.chars().take(80).collect();
            return Err(usage(format!("{step} takes no option {shown:?}{hint}")));
        }
        let given = Given(options);
        let request = Self {
            step,
            customer: given.read("customer-id")?,
            environment: given.read("environment")?,
            source: given.read("source")?,
            revision: given.read("revision")?,
            image_tag: given.image_tag()?,
            workflow: given.workflow()?,
            attempt: given.number("attempt")?.unwrap_or_default(),
            timeout: given.timeout()?,
            wave: given.number("wave")?.map(Wave),
            force: given.flag("force")?,
            deployment: match options.get("deployment-id").map(|text| text.trim()) {
                None => Which::NotSaid,
                Some("") => Which::Nothing,
                Some(id) => Which::One(id.parse().map_err(|error| wrong("deployment-id", error))?),
            },
            service: given.read("service")?,
            wait: given.flag("wait")?,
            reason: given.words("reason", TEXT)?,
            status: given.words("status", TEXT)?,
            failures: given.words("failures", FAILURES)?,
            namespace: given.read("namespace")?,
            manifests: Vec::new(),
            force_conflicts: given.flag("force-conflicts")?,
            author: given.words("author", TEXT)?,
        };
        request.check()?;
        Ok(request)
    }

    /// What is missing.
    fn check(&self) -> Result<(), Fault> {
        let needs = |what: &str| Err(usage(format!("{} needs {what}", self.step)));
        match self.step {
            Name::ValidateHelmValues | Name::TriggerApplicationSet | Name::ResolveWaves | Name::RollBack
                if self.customer.is_none() =>
            {
                needs("customer-id")
            }
            Name::WriteImageTag if self.customer.is_none() || self.image_tag.is_none() => {
                needs("customer-id and image-tag")
            }
            Name::MonitorSyncWaves | Name::Abort if self.deployment == Which::NotSaid => {
                needs("deployment-id (an empty one where there was nothing to deploy)")
            }
            Name::ValidateDeployment if self.deployment == Which::NotSaid && self.customer.is_none() => {
                needs("customer-id or deployment-id")
            }
            Name::ValidatePrerequisites
            | Name::SetupArgoEvents
            | Name::DeployOrchestrator
            | Name::ValidateHelmValues
            | Name::TriggerApplicationSet
            | Name::MonitorSyncWaves
            | Name::ValidateDeployment
            | Name::NotifyCompletion
            | Name::ResolveWaves
            | Name::ListCustomers
            | Name::WriteImageTag
            | Name::RollBack
            | Name::Abort => Ok(()),
        }
    }

    /// The customer, where the step needs one.
    pub(super) fn the_customer(&self) -> Result<&CustomerId, Fault> {
        self.customer.as_ref().ok_or_else(|| usage(format!("{} needs customer-id", self.step)))
    }

    /// What is asked for, in the customer's place.
    pub(super) fn wanted(&self, customer: CustomerId) -> Wanted {
        Wanted { environment: self.environment.clone(), source: self.source.clone(), ..Wanted::of(customer) }
    }

    /// The id of what this workflow asks for: asked again, it is the same. None where no workflow is named.
    pub(super) fn id(&self, customer: &CustomerId) -> Option<String> {
        let workflow = self.workflow.as_ref()?;
        let environment = self.environment.as_ref().map_or("-", Environment::as_str);
        let wave = self.wave.map(|wave| format!("/{wave}")).unwrap_or_default();
        Some(format!("{workflow}/{customer}/{environment}{wave}"))
    }
}

fn usage(message: impl Into<String>) -> Fault {
    Fault::new(StepExit::Usage, message)
}

fn wrong(option: &str, fault: impl Display) -> Fault {
    usage(format!("{option}: {fault}"))
}

/// The options as they were given.
struct Given<'a>(&'a BTreeMap<String, String>);

impl Given<'_> {
    /// The text of an option that is there and not empty.
    fn text(&self, option: &str) -> Option<&str> {
        self.0.get(option).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    fn read<T: FromStr<Err: Display>>(&self, option: &str) -> Result<Option<T>, Fault> {
        self.text(option).map(|text| text.parse().map_err(|error| wrong(option, error))).transpose()
    }

    fn number(&self, option: &str) -> Result<Option<u32>, Fault> {
        let number = |text: &str| {
            text.parse().map_err(|_| wrong(option, format!("{:?} is not a whole number", short(text))))
        };
        self.text(option).map(number).transpose()
    }

    fn flag(&self, option: &str) -> Result<bool, Fault> {
        match self.text(option) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(wrong(option, format!("{:?} is neither true nor false", short(other)))),
        }
    }

    fn timeout(&self) -> Result<Duration, Fault> {
        let Some(text) = self.text("timeout") else { return Ok(TIMEOUT) };
        let help = "write a time such as 30m or 1h30m, at most a week";
        let wrong = || wrong("timeout", format!("{:?}: {help}", short(text)));
        let time: SignedDuration = text.parse().map_err(|_| wrong())?;
        if time <= SignedDuration::ZERO || time > LONGEST {
            return Err(wrong());
        }
        Duration::try_from(time).map_err(|_| wrong())
    }

    fn image_tag(&self) -> Result<Option<String>, Fault> {
        let Some(tag) = self.text("image-tag") else { return Ok(None) };
        if !is_image_tag(tag) {
            let help = "use letters, digits, '.', '_' and '-', at most 128, not beginning with '.' or '-'";
            return Err(wrong("image-tag", format!("{:?} is not an image tag: {help}", short(tag))));
        }
        Ok(Some(tag.to_owned()))
    }

    fn workflow(&self) -> Result<Option<String>, Fault> {
        let Some(uid) = self.text("workflow-uid") else { return Ok(None) };
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if uid.len() > 64 || !uid.bytes().all(fine) {
            let help = "has to be 1 to 64 letters, digits, '-', '_' or '.', such as {{workflow.uid}} gives";
            return Err(wrong("workflow-uid", format!("{:?} {help}", short(uid))));
        }
        Ok(Some(uid.to_owned()))
    }

    fn words(&self, option: &str, most: usize) -> Result<Option<String>, Fault> {
        match self.text(option) {
            Some(text) if text.len() > most => {
                Err(wrong(option, format!("it has {} bytes; {most} are allowed", text.len())))
            }
            text => Ok(text.map(str::to_owned)),
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(step: &str, options: &[(&str, &str)]) -> Result<Request, Fault> {
        let options = options.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        Request::parse(step.parse().unwrap(), &options)
    }

    #[test]
    fn options_are_understood_and_an_empty_one_is_not_given() {
        let request = parse(
            "trigger-application-set",
            &[("customer-id", "customer-a"), ("environment", ""), ("wave", " 2 "), ("force", "true")],
        )
        .unwrap();
        assert_eq!(request.environment, None);
        assert_eq!(request.wave, Some(Wave(2)));
        assert!(request.force && !request.wait);
        assert_eq!(request.timeout, TIMEOUT);
        assert_eq!(request.deployment, Which::NotSaid);
        for (text, seconds) in [("90s", 90), ("30m", 1_800), ("1h30m", 5_400), ("1h 30m", 5_400)] {
            let request = parse("list-customers", &[("timeout", text)]).unwrap();
            assert_eq!(request.timeout.as_secs(), seconds, "{text}");
        }
        let nothing = parse("monitor-sync-waves", &[("deployment-id", "")]).unwrap();
        assert_eq!(nothing.deployment, Which::Nothing);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_option_and_a_remedy() {
        for (step, options, said) in [
            ("trigger-application-set", &[][..], "needs customer-id"),
            ("trigger-application-set", &[("customer-id", "Customer_A")], "lower-case"),
            ("trigger-application-set", &[("customer-id", "a"), ("wvae", "1")], "`wave`?"),
            ("trigger-application-set", &[("customer-id", "a"), ("wave", "-1")], "wave: \"-1\""),
            ("trigger-application-set", &[("customer-id", "a"), ("force", "yes")], "neither true nor false"),
            ("trigger-application-set", &[("customer-id", "a"), ("workflow-uid", "a/b")], "{{workflow.uid}}"),
            ("monitor-sync-waves", &[], "needs deployment-id"),
            ("monitor-sync-waves", &[("deployment-id", "a b")], "deployment-id: "),
            ("monitor-sync-waves", &[("deployment-id", ""), ("wave", "1")], "takes no option \"wave\""),
            ("list-customers", &[("timeout", "soon")], "such as 30m"),
            ("list-customers", &[("timeout", "0s")], "such as 30m"),
            ("list-customers", &[("timeout", "200h")], "at most a week"),
            ("list-customers", &[("attempt", "one")], "not a whole number"),
            ("list-customers", &[("revision", "HEAD")], "full commit id"),
            ("validate-helm-values", &[("customer-id", "a"), ("image-tag", "-1")], "is not an image tag"),
            ("write-image-tag", &[("customer-id", "a")], "customer-id and image-tag"),
            ("validate-deployment", &[], "customer-id or deployment-id"),
        ] {
            let fault = parse(step, options).unwrap_err();
            assert_eq!(fault.exit, StepExit::Usage, "{fault}");
            assert!(fault.message.contains(said), "no {said:?} in {fault}");
        }
        assert!("trigger-aplication-set".parse::<Name>().unwrap_err().to_string().contains("`trigger-app"));
    }

    #[test]
    fn what_a_workflow_asks_for_has_one_id_for_each_place_and_wave() {
        let id = |options: &[(&str, &str)]| {
            let all = [&[("customer-id", "customer-a"), ("workflow-uid", "u-1")], options].concat();
            let request = parse("trigger-application-set", &all).unwrap();
            request.id(request.the_customer().unwrap())
        };
        assert_eq!(id(&[]).as_deref(), Some("u-1/customer-a/-"));
        assert_eq!(id(&[("environment", "production")]).as_deref(), Some("u-1/customer-a/production"));
        assert_eq!(
            id(&[("environment", "production"), ("wave", "2")]).as_deref(),
            Some("u-1/customer-a/production/2")
        );
        assert_eq!(id(&[("workflow-uid", "")]), None);
    }
}
