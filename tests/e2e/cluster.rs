//! The cluster, asked by `kubectl`: a witness that shares no code with what is tested.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

/// The namespace of Argo CD.
pub(crate) const ARGO_CD: &str = "argocd";

/// Runs kubectl as the one who tests: an administrator.
pub(crate) fn kubectl(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("kubectl").args(arguments).stdin(Stdio::null()).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "kubectl {}: {}", arguments.join(" "), errors.trim());
    Ok(String::from_utf8(output.stdout)?)
}

/// The items of a list.
pub(crate) fn list(kind: &str, namespace: &str, selector: &str) -> anyhow::Result<Vec<Value>> {
    let text = kubectl(&["-n", namespace, "get", kind, "-l", selector, "-o", "json"])?;
    let mut list: Value = serde_json::from_str(&text)?;
    let Value::Array(items) = list["items"].take() else { bail!("kubectl get {kind} gave no list") };
    Ok(items)
}

/// One object; none where it does not exist.
pub(crate) fn get(kind: &str, namespace: &str, name: &str) -> anyhow::Result<Option<Value>> {
    let text = kubectl(&["-n", namespace, "get", kind, name, "-o", "json", "--ignore-not-found"])?;
    if text.trim().is_empty() { Ok(None) } else { Ok(Some(serde_json::from_str(&text)?)) }
}

/// Whether there is a cluster with Argo CD.
pub(crate) fn check() -> anyhow::Result<()> {
    kubectl(&["-n", ARGO_CD, "get", "applications", "-o", "name"])
        .map(drop)
        .context("KUBECONFIG names no cluster with Argo CD; scripts/setup-test-env.sh starts one")
}

/// Waits until `look` finds something.
pub(crate) fn until<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let end = Instant::now() + patience;
    loop {
        let seen = look();
        match seen {
            Ok(Some(found)) => return Ok(found),
            Ok(None) if Instant::now() < end => {}
            Err(error) if Instant::now() < end => drop(error),
            Ok(None) => bail!("waited {} s in vain until {what}", patience.as_secs()),
            Err(error) => return Err(error.context(format!("waited in vain until {what}"))),
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A kubeconfig with the rights of the orchestrator's own service account, and no others.
pub(crate) fn service_account(file: &Path) -> anyhow::Result<()> {
    let rights = Path::new(env!("CARGO_MANIFEST_DIR")).join("k8s/rbac");
    let namespace = "argocd-orchestrator";
    if get("namespace", "default", namespace)?.is_none() {
        kubectl(&["create", "namespace", namespace])?;
    }
    kubectl(&["apply", "-k", &rights.to_string_lossy()])?;
    let token = kubectl(&["-n", namespace, "create", "token", namespace, "--duration", "4h"])?;
    let mut config: Value =
        serde_json::from_str(&kubectl(&["config", "view", "--minify", "--raw", "-o", "json"])?)?;
    config["users"] = serde_json::json!([{ "name": "orchestrator", "user": { "token": token.trim() } }]);
    config["contexts"][0]["context"]["user"] = "orchestrator".into();
    std::fs::write(file, config.to_string())?;
    Ok(())
}

/// Rights of `k8s/rbac` that are not given by default, as long as they last.
pub(crate) struct Rights(String);

impl Rights {
    pub(crate) fn grant(file: &str) -> anyhow::Result<Self> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("k8s/rbac").join(file);
        let file = file.to_string_lossy().into_owned();
        kubectl(&["apply", "-f", &file])?;
        Ok(Self(file))
    }
}

impl Drop for Rights {
    fn drop(&mut self) {
        // Without them the next scenario is as it should be; with them only the list of rights is wrong.
        let _gone = kubectl(&["delete", "--ignore-not-found", "-f", &self.0]);
    }
}
