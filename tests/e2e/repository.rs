//! The repository that a scenario deploys: the examples' charts, and either the examples' customers or small ones.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// Where the charts are, in the repository as in the product's own.
pub(crate) const CHARTS: &str = "examples/helm-charts";

/// Where Config-as-Code files are.
pub(crate) const CAC: &str = "examples/cac-configs";

/// Further values for every customer. Argo CD takes a path with a slash in front as one from the repository's root.
pub(crate) const OVERLAY: &str = "/examples/helm-charts/overlays/e2e.yaml";

/// A service of a small customer.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) wave: u32,
    pub(crate) needs: Vec<String>,
    pub(crate) tag: String,
    /// How its pods behave, see `tests/cluster/images/health.c`.
    pub(crate) behaviour: String,
    /// Further lines of its values, at their place.
    pub(crate) more: String,
}

/// A small customer.
#[derive(Debug, Clone)]
pub(crate) struct Customer {
    pub(crate) name: String,
    pub(crate) services: Vec<Service>,
}

impl Customer {
    /// One service a line: its name, its wave, and what it needs.
    pub(crate) fn new(name: &str, services: &str) -> Self {
        let service = |line: &str| {
            let mut words = line.split_whitespace().map(str::to_owned);
            let (name, wave) = (words.next()?, words.next()?.parse().ok()?);
            let needs = words.collect();
            Some(Service {
                name,
                wave,
                needs,
                tag: "v1".into(),
                behaviour: String::new(),
                more: String::new(),
            })
        };
        Self { name: name.into(), services: services.lines().filter_map(service).collect() }
    }

    /// One of its services.
    pub(crate) fn service(&mut self, name: &str) -> anyhow::Result<&mut Service> {
        let found = self.services.iter_mut().find(|service| service.name == name);
        found.with_context(|| format!("{} has no service {name}", self.name))
    }

    fn values(&self) -> String {
        let name = &self.name;
        let mut text = format!(
            "global:\n  customerId: {name}\n  environment: production\n  imageTag: \"v1\"\n  \
             namespace: {name}-production\nconfigMaps:\n  app-config: {name}-app-config\nmicroservices:\n"
        );
        let mut waves: Vec<u32> = self.services.iter().map(|service| service.wave).collect();
        waves.sort_unstable();
        waves.dedup();
        for wave in waves {
            let _ = writeln!(text, "  wave-{wave}:\n    sync-wave: {wave}\n    services:");
            for service in self.services.iter().filter(|service| service.wave == wave) {
                let Service { name, tag, needs, behaviour, more, .. } = service;
                let _ = writeln!(
                    text,
                    "      - name: {name}\n        image: rtte/{name}:{tag}\n        dependencies: [{}]\n        \
                     healthCheck: {{endpoint: /health}}\n        env: {{BEHAVIOUR: \"{behaviour}\"}}{more}",
                    needs.join(", ")
                );
            }
        }
        text
    }
}

/// The git repository.
pub(crate) struct Repository {
    folder: PathBuf,
    /// Small customers; none where the examples' are deployed.
    pub(crate) customers: Vec<Customer>,
}

impl Repository {
    /// The examples as they are.
    pub(crate) fn examples(folder: &Path, customers: &[&str], overlay: &str) -> anyhow::Result<Self> {
        let repository = Self::begin(folder, overlay)?;
        for customer in customers {
            let from = examples().join("customers").join(customer);
            copy(&from, &folder.join(CHARTS).join("customers").join(customer))?;
        }
        repository.commit("Add the customers")?;
        Ok(repository)
    }

    /// The example in Config as Code.
    pub(crate) fn config_as_code(folder: &Path, overlay: &str) -> anyhow::Result<Self> {
        let repository = Self::begin(folder, overlay)?;
        std::fs::create_dir_all(folder.join("examples"))?;
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(CAC), &folder.join(CAC))?;
        repository.commit("Add the customers")?;
        Ok(repository)
    }

    /// Replaces a text of a Config-as-Code file, which must be there once, and commits.
    pub(crate) fn replace_in(&self, file: &str, from: &str, to: &str) -> anyhow::Result<String> {
        let path = self.folder.join(file);
        let text = std::fs::read_to_string(&path)?;
        ensure!(text.matches(from).count() == 1, "{file} has {from:?} not exactly once");
        std::fs::write(path, text.replace(from, to))?;
        self.commit("Change a value")
    }

    /// Small customers.
    pub(crate) fn small(folder: &Path, customers: Vec<Customer>, overlay: &str) -> anyhow::Result<Self> {
        let mut repository = Self::begin(folder, overlay)?;
        for customer in &customers {
            let chart = folder.join(CHARTS).join("customers").join(&customer.name);
            copy(&examples().join("customers/customer-a"), &chart)?;
            let about = chart.join("Chart.yaml");
            let text = std::fs::read_to_string(&about)?.replace("customer-a", &customer.name);
            std::fs::write(about, text)?;
        }
        repository.customers = customers;
        repository.write()?;
        repository.commit("Add the customers")?;
        Ok(repository)
    }

    fn begin(folder: &Path, overlay: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder.join(CHARTS).join("overlays"))?;
        std::fs::create_dir_all(folder.join(CHARTS).join("customers"))?;
        copy(&examples().join("base"), &folder.join(CHARTS).join("base"))?;
        std::fs::write(folder.join(CHARTS).join("overlays/e2e.yaml"), overlay)?;
        let repository = Self { folder: folder.to_owned(), customers: Vec::new() };
        repository.git(&["init", "--quiet", "--initial-branch=main"])?;
        Ok(repository)
    }

    /// Where git, and Argo CD, fetch it from.
    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.folder.display())
    }

    /// The values file of a customer.
    pub(crate) fn values(&self, customer: &str) -> PathBuf {
        let cac = self.folder.join(CAC).join(format!("{customer}.yaml"));
        if cac.is_file() {
            return cac;
        }
        self.folder.join(CHARTS).join("customers").join(customer).join("values.yaml")
    }

    /// Changes a small customer, and commits.
    pub(crate) fn change(
        &mut self,
        customer: &str,
        change: impl FnOnce(&mut Customer) -> anyhow::Result<()>,
    ) -> anyhow::Result<String> {
        let found = self.customers.iter_mut().find(|small| small.name == customer);
        let small = found.with_context(|| format!("there is no small customer {customer}"))?;
        change(small)?;
        self.write()?;
        self.commit("Change a service")
    }

    /// Replaces a text of a customer's values, which must be there once, and commits.
    pub(crate) fn replace(&self, customer: &str, from: &str, to: &str) -> anyhow::Result<String> {
        let file = self.values(customer);
        let text = std::fs::read_to_string(&file)?;
        ensure!(text.matches(from).count() == 1, "{customer} has {from:?} not exactly once");
        std::fs::write(file, text.replace(from, to))?;
        self.commit("Change a value")
    }

    fn write(&self) -> anyhow::Result<()> {
        for customer in &self.customers {
            std::fs::write(self.values(&customer.name), customer.values())?;
        }
        Ok(())
    }

    /// Commits everything, and answers the commit.
    pub(crate) fn commit(&self, message: &str) -> anyhow::Result<String> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message])?;
        Ok(self.git(&["rev-parse", "HEAD"])?.trim().to_owned())
    }

    fn git(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new("git")
            .current_dir(&self.folder)
            .args(["-c", "user.name=e2e", "-c", "user.email=e2e@example.com", "-c", "commit.gpgsign=false"])
            .args(arguments)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "git {arguments:?}: {errors}");
        Ok(String::from_utf8(output.stdout)?)
    }
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(CHARTS)
}

/// Copies a folder, links as links.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    ensure!(status.success(), "cp -a {} {}: {status}", from.display(), to.display());
    Ok(())
}
