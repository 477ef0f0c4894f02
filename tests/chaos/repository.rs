//! The repository that is deployed: the examples, and the commits that people and pipelines make to them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use argocd_orchestrator::domain::names::Revision;

/// The service that cannot be brought to a later revision, see [`crate::world::World::script`].
pub(crate) const FRAGILE: &str = "payment-service";

/// The customers.
pub(crate) const CUSTOMERS: [&str; 2] = ["customer-a", "customer-b"];

const CHARTS: &str = "examples/helm-charts";

/// A commit to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A pipeline's new image tag: touches most services of both customers.
    ImageTag,
    /// A new image of one third-party service of one customer.
    OneService,
    /// A new image of the fragile service of one customer: fails, and is taken back.
    Fragile,
    /// The shared chart: touches everything.
    Chart,
    /// Both, so that there is nothing that failed with this content before.
    ImageTagAndChart,
    /// Values that cannot be read, of one customer.
    Broken,
    /// The last commit taken back.
    Revert,
}

/// The git repository.
pub(crate) struct Repository {
    folder: PathBuf,
    head: Revision,
    commits: u32,
}

impl Repository {
    /// Makes the repository and its first commit.
    pub(crate) fn create(folder: &Path) -> anyhow::Result<Self> {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join(CHARTS);
        for part in ["base", "customers"] {
            copy(&examples.join(part), &folder.join(CHARTS).join(part))?;
        }
        git(folder, &["init", "--quiet", "--initial-branch=main"])?;
        for customer in CUSTOMERS {
            let image = format!("rtte/{FRAGILE}:");
            let edited = edit(&values(folder, customer), |line| {
                let (before, _) = line.split_once(&image)?;
                Some(format!("{before}{image}v1.0.0"))
            })?;
            ensure!(edited == 1, "{customer} has no {FRAGILE}");
        }
        let head = commit(folder, "Add the customers")?;
        Ok(Self { folder: folder.to_owned(), head, commits: 1 })
    }

    /// Where git fetches it from.
    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.folder.display())
    }

    /// The newest commit.
    pub(crate) fn head(&self) -> &Revision {
        &self.head
    }

    /// Whether the head has values that cannot be read: by a commit that broke them, or by a revert of its revert.
    pub(crate) fn broken(&self) -> anyhow::Result<bool> {
        for customer in CUSTOMERS {
            let path = values(&self.folder, customer);
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            if text.lines().any(|line| line.trim() == r#"imageTag: """#) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes a commit.
    pub(crate) fn change(&mut self, kind: Kind, rng: &mut fastrand::Rng) -> anyhow::Result<()> {
        self.commits += 1;
        let number = self.commits;
        let customer = CUSTOMERS[rng.usize(0..CUSTOMERS.len())];
        let path = values(&self.folder, customer);
        self.head = match kind {
            Kind::ImageTag => {
                image_tags(&self.folder, number)?;
                commit(&self.folder, &format!("Update image tags to v3.{number}.0"))?
            }
            Kind::OneService => {
                let chosen = rng.usize(0..10);
                let mut met = 0;
                edit(&path, |line| {
                    let (name, _) = fixed_image(line).filter(|(name, _)| !name.ends_with(FRAGILE))?;
                    met += 1;
                    (met == chosen + 1).then(|| format!("        image: {name}:c{number}"))
                })?;
                commit(&self.folder, &format!("Another image of one service of {customer}"))?
            }
            Kind::Fragile => {
                edit(&path, |line| {
                    let (name, _) = fixed_image(line).filter(|(name, _)| name.ends_with(FRAGILE))?;
                    Some(format!("        image: {name}:c{number}"))
                })?;
                commit(&self.folder, &format!("Another image of {FRAGILE} of {customer}"))?
            }
            Kind::Chart => {
                chart(&self.folder, number)?;
                commit(&self.folder, "Change the shared chart")?
            }
            Kind::ImageTagAndChart => {
                chart(&self.folder, number)?;
                image_tags(&self.folder, number)?;
                commit(&self.folder, "Change everything")?
            }
            Kind::Broken => {
                image_tag(&path, "")?;
                commit(&self.folder, &format!("Lose the image tag of {customer}"))?
            }
            Kind::Revert => {
                git(&self.folder, &["revert", "--no-edit", "HEAD"])?;
                head(&self.folder)?
            }
        };
        Ok(())
    }
}

fn values(folder: &Path, customer: &str) -> PathBuf {
    folder.join(CHARTS).join("customers").join(customer).join("values.yaml")
}

fn chart(folder: &Path, number: u32) -> anyhow::Result<()> {
    let template = folder.join(CHARTS).join("base/templates/_helpers.tpl");
    let text = std::fs::read_to_string(&template)?;
    Ok(std::fs::write(&template, format!("{text}{{{{/* {number} */}}}}\n"))?)
}

fn image_tags(folder: &Path, number: u32) -> anyhow::Result<()> {
    CUSTOMERS.iter().try_for_each(|customer| image_tag(&values(folder, customer), &format!("v3.{number}.0")))
}

fn image_tag(path: &Path, tag: &str) -> anyhow::Result<()> {
    let edited = edit(path, |line| {
        let (before, _) = line.split_once("imageTag:")?;
        before.trim().is_empty().then(|| format!("{before}imageTag: \"{tag}\""))
    })?;
    ensure!(edited == 1, "{} has no image tag", path.display());
    Ok(())
}

/// Name and tag of an image that does not follow the image tag of all.
fn fixed_image(line: &str) -> Option<(&str, &str)> {
    let image = line.trim().strip_prefix("image: ")?;
    if image.contains("{{") { None } else { image.rsplit_once(':') }
}

/// Replaces the lines for which there is another one, and says how many.
fn edit(path: &Path, mut line: impl FnMut(&str) -> Option<String>) -> anyhow::Result<usize> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut edited = 0;
    let mut lines = String::with_capacity(text.len());
    for old in text.lines() {
        let new = line(old);
        edited += usize::from(new.is_some());
        lines.push_str(new.as_deref().unwrap_or(old));
        lines.push('\n');
    }
    std::fs::write(path, lines)?;
    Ok(edited)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let (kind, to) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &to)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path())?, to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

fn commit(folder: &Path, message: &str) -> anyhow::Result<Revision> {
    git(folder, &["add", "--all"])?;
    git(folder, &["commit", "--quiet", "--message", message])?;
    head(folder)
}

fn head(folder: &Path) -> anyhow::Result<Revision> {
    Ok(git(folder, &["rev-parse", "HEAD"])?.trim().parse()?)
}

fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=chaos", "-c", "user.email=chaos@example.com", "-c", "commit.gpgsign=false"])
        .args(arguments)
        // What the user has set for git is not this repository's business.
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .context("git cannot be run; is it installed?")?;
    if !output.status.success() {
        // git says on its standard output that there is nothing to commit.
        let said = [output.stderr, output.stdout].concat();
        bail!("git {} failed: {}", arguments[0], String::from_utf8_lossy(&said).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
