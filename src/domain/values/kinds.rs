//! The kinds of text that values hold: lists of what is allowed, so that nothing else gets into a manifest.

use crate::domain::diagnostic::Code;
use crate::domain::names::LABEL_LENGTH;

use super::reading::Kind;
use crate::domain::probe::endpoint::Endpoint;

/// A name of an object in the cluster.
pub(super) const OBJECT_NAME: Kind = Kind {
    what: "the name of an object in the cluster",
    help: "use lower-case letters, digits, '-' and '.', and begin and end with a letter or digit",
    code: Code::BadName,
    fits: is_subdomain,
};

/// The path of a health check; never another host or port.
pub(super) const ENDPOINT: Kind = Kind {
    what: "a path",
    help: "begin with one `/`, then letters, digits and `-._~/?=&%:`, no `..`; host and port are the service's own",
    code: Code::BadValue,
    fits: |text| text.parse::<Endpoint>().is_ok(),
};

/// A question to Prometheus.
pub(super) const QUERY: Kind = Kind {
    what: "a Prometheus query",
    help: "write PromQL that gives a vector or a scalar, at most 4096 characters",
    code: Code::BadValue,
    fits: |text| {
        !text.trim().is_empty() && text.len() <= 4096 && !text.chars().any(|c| c.is_control() && c != '\n')
    },
};

/// How a health check asks.
pub(super) const METHOD: Kind = Kind {
    what: "an HTTP method",
    help: "write GET, HEAD, OPTIONS or POST",
    code: Code::BadValue,
    fits: |text| ["GET", "HEAD", "OPTIONS", "POST"].iter().any(|method| text.eq_ignore_ascii_case(method)),
};

/// So much of something.
pub(super) const QUANTITY: Kind = Kind {
    what: "a Kubernetes quantity",
    help: "write something like 500m, 2, 512Mi or 20Gi",
    code: Code::BadValue,
    fits: |text| {
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let number = &text[..text.len() - unit.len()];
        let units = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        text.len() <= 32 && number.parse::<f64>().is_ok() && units.contains(&unit)
    },
};

/// A volume of a pod.
pub(super) const VOLUME_NAME: Kind = Kind {
    what: "the name of a volume",
    help: "use lower-case letters, digits and '-', at most 63, and begin and end with a letter or digit",
    code: Code::BadName,
    fits: |text| text.len() <= LABEL_LENGTH && !text.contains('.') && (OBJECT_NAME.fits)(text),
};

/// Where a volume is in its container.
pub(super) const MOUNT_PATH: Kind = Kind {
    what: "an absolute path",
    help: "write something like /var/lib/data, without `..`",
    code: Code::BadValue,
    fits: |text| {
        text.starts_with('/')
            && text.len() <= 1024
            && !text.split('/').any(|part| part == "..")
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._/".contains(c))
    },
};

/// How many may use a volume.
pub(super) const ACCESS_MODE: Kind = Kind {
    what: "an access mode",
    help: "write ReadWriteOnce, ReadOnlyMany, ReadWriteMany or ReadWriteOncePod",
    code: Code::BadValue,
    fits: |text| ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"].contains(&text),
};

fn is_subdomain(text: &str) -> bool {
    let part = |part: &str| {
        let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        part.starts_with(edge) && part.ends_with(edge) && part.chars().all(|c| edge(c) || c == '-')
    };
    text.len() <= 253 && text.split('.').all(part)
}
