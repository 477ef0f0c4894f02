//! A git repository, made and changed with the real git.

use std::path::{Path, PathBuf};
use std::process::Command;

use argocd_orchestrator::domain::names::Revision;

/// Where the customers' charts are.
pub const CUSTOMERS: &str = "charts/customers";

/// A template of the chart that all customers share.
pub const TEMPLATE: &str = "charts/base/templates/service.yaml";

/// A repository with a work tree.
pub struct Repo {
    folder: PathBuf,
}

/// Four services in three waves: two follow the image tag, two have images of their own.
pub fn values(customer: &str) -> String {
    format!(
        r#"global:
  customerId: {customer}
  environment: production
  imageTag: "v1"
  namespace: {customer}-production
configMaps:
  app-config: {customer}-app-config
microservices:
  databases:
    sync-wave: 1
    services:
      - name: postgres
        image: postgres:15-alpine
        dependencies: []
  core-apis:
    sync-wave: 2
    services:
      - name: user-service
        image: rtte/user-service:{{{{ .Values.global.imageTag }}}}
        dependencies: [postgres]
        replicas: 1
      - name: stats
        image: rtte/stats:v1
        dependencies: []
  frontend:
    sync-wave: 3
    services:
      - name: web
        image: rtte/web:{{{{ .Values.global.imageTag }}}}
        dependencies: [user-service]
"#
    )
}

impl Repo {
    /// A repository with these customers, committed.
    pub fn create(folder: &Path, customers: &[&str]) -> Self {
        let repo = Self { folder: folder.to_owned() };
        std::fs::create_dir_all(folder).unwrap();
        repo.git(&["init", "--quiet", "--initial-branch=main"]);
        repo.write("charts/base/Chart.yaml", "apiVersion: v2\nname: base\nversion: 0.1.0\n");
        repo.write(TEMPLATE, "kind: Deployment\n");
        for customer in customers {
            repo.write(&values_file(customer), &values(customer));
        }
        repo.commit();
        repo
    }

    pub fn url(&self) -> String {
        format!("file://{}", self.folder.display())
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Replaces a piece of a file, which must be there.
    pub fn replace(&self, path: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.folder.join(path)).unwrap();
        assert!(text.contains(from), "{path} has no {from:?}");
        self.write(path, &text.replace(from, to));
    }

    /// Commits everything as it is.
    pub fn commit(&self) -> Revision {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "test"]);
        self.head()
    }

    pub fn head(&self) -> Revision {
        self.git(&["rev-parse", "HEAD"]).trim().parse().unwrap()
    }

    /// A new image tag for one customer.
    pub fn new_tag(&self, customer: &str, tag: &str) -> Revision {
        let path = values_file(customer);
        let text = std::fs::read_to_string(self.folder.join(&path)).unwrap();
        let line = text.lines().find(|line| line.contains("imageTag: \"")).unwrap().to_owned();
        self.replace(&path, &line, &format!("  imageTag: \"{tag}\""));
        self.commit()
    }

    /// Takes the whole repository away, or brings it back.
    pub fn hide(&self) {
        std::fs::rename(&self.folder, self.folder.with_extension("away")).unwrap();
    }

    pub fn show(&self) {
        std::fs::rename(self.folder.with_extension("away"), &self.folder).unwrap();
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(&self.folder)
            .args(["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"])
            .args(arguments)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The values file of a customer.
pub fn values_file(customer: &str) -> String {
    format!("{CUSTOMERS}/{customer}/values.yaml")
}
