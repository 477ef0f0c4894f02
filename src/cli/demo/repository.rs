//! The repository of the demo: the examples that this program carries, committed with the real git.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::cli::{Exit, Failure};
use crate::domain::names::{Revision, ServiceName};

const CHARTS: &str = "examples/helm-charts";

macro_rules! carried {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/helm-charts/", $path)))),*]
    };
}

/// The base chart.
const BASE: &[(&str, &str)] = carried![
    "base/.helmignore",
    "base/Chart.yaml",
    "base/values.yaml",
    "base/templates/_config.tpl",
    "base/templates/_customer.tpl",
    "base/templates/_helpers.tpl",
    "base/templates/_service.tpl",
    "base/templates/_volumes.tpl",
    "base/templates/_workload.tpl",
    "base/templates/all.yaml",
];

/// The customers. Those beyond these two are copies of the first under another name.
const CUSTOMERS: [&[(&str, &str)]; 2] = [
    carried![
        "customers/customer-a/.helmignore",
        "customers/customer-a/Chart.yaml",
        "customers/customer-a/values.yaml",
        "customers/customer-a/templates/all.yaml",
    ],
    carried![
        "customers/customer-b/.helmignore",
        "customers/customer-b/Chart.yaml",
        "customers/customer-b/values.yaml",
        "customers/customer-b/templates/all.yaml",
    ],
];

/// The image tag that the second push brings.
const NEW_TAG: &str = "v2.2.0";

/// A git repository with the examples.
pub(super) struct Repository {
    folder: PathBuf,
}

impl Repository {
    /// Makes the repository, with so many customers, and commits nothing yet.
    pub(super) fn create(folder: &Path, customers: u32) -> Result<Self, Failure> {
        if folder.exists() {
            let message = format!("{} is there already: give a fresh --data-dir", folder.display());
            return Err(Failure::new(Exit::Refused, message));
        }
        let repository = Self { folder: folder.to_owned() };
        for (path, text) in BASE {
            repository.write(path, text)?;
        }
        for number in 0..customers as usize {
            let (files, from) = match CUSTOMERS.get(number) {
                Some(files) => (*files, None),
                None => (CUSTOMERS[0], Some("customer-a")),
            };
            let name = customer(number);
            for (path, text) in files {
                match from {
                    None => repository.write(path, text)?,
                    Some(from) => repository.write(&path.replace(from, &name), &text.replace(from, &name))?,
                }
            }
            // As in the examples: the one copy of the templates is linked, not copied.
            let charts = repository.folder.join(CHARTS).join("customers").join(&name).join("charts");
            std::fs::create_dir_all(&charts)?;
            std::os::unix::fs::symlink("../../../base", charts.join("base"))?;
        }
        repository.git(&["init", "--quiet", "--initial-branch=main"])?;
        Ok(repository)
    }

    /// Where git fetches it from.
    pub(super) fn url(&self) -> String {
        let absolute = std::path::absolute(&self.folder).unwrap_or_else(|_| self.folder.clone());
        format!("file://{}", absolute.display())
    }

    /// Whether the customers have this service.
    pub(super) fn has_service(&self, service: &ServiceName) -> bool {
        let line = format!("- name: {service}");
        CUSTOMERS[0].iter().any(|(_, text)| text.lines().any(|other| other.trim() == line))
    }

    /// Commits everything as it is.
    pub(super) fn commit(&self, message: &str) -> Result<Revision, Failure> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", message])?;
        let head = self.git(&["rev-parse", "HEAD"])?;
        head.trim().parse().map_err(|error| Failure::new(Exit::Failure, error))
    }

    /// What a CI pipeline does after a build: a new image tag for every customer.
    pub(super) fn new_image_tag(&self) -> Result<Revision, Failure> {
        let customers = self.folder.join(CHARTS).join("customers");
        for entry in std::fs::read_dir(customers)? {
            let values = entry?.path().join("values.yaml");
            let text = std::fs::read_to_string(&values)?;
            let lines = text.lines().map(|line| match line.split_once("imageTag:") {
                Some((before, _)) if before.trim().is_empty() => format!("{before}imageTag: \"{NEW_TAG}\"\n"),
                Some(_) | None => format!("{line}\n"),
            });
            std::fs::write(&values, lines.collect::<String>())?;
        }
        self.commit(&format!("Update image tags to {NEW_TAG}"))
    }

    fn write(&self, path: &str, text: &str) -> Result<(), Failure> {
        let path = self.folder.join(CHARTS).join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(())
    }

    fn git(&self, arguments: &[&str]) -> Result<String, Failure> {
        let run = || {
            let output = Command::new("git")
                .current_dir(&self.folder)
                .args([
                    "-c",
                    "user.name=demo",
                    "-c",
                    "user.email=demo@example.com",
                    "-c",
                    "commit.gpgsign=false",
                ])
                .args(arguments)
                // What the user has set for git is not this repository's business.
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .output()
                .context("git cannot be run; is it installed?")?;
            if !output.status.success() {
                bail!("git {} failed: {}", arguments[0], String::from_utf8_lossy(&output.stderr).trim());
            }
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        run().map_err(Failure::from)
    }
}

/// `customer-a` to `customer-z`, then `customer-27` and so on.
fn customer(number: usize) -> String {
    match u8::try_from(number) {
        Ok(number) if number < 26 => format!("customer-{}", char::from(b'a' + number)),
        Ok(_) | Err(_) => format!("customer-{}", number + 1),
    }
}
