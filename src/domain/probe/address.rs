//! Where a health check may go: to the customer's own Service, and nowhere else.
//!
//! Values give a path and a port. The host is the Service of the service's name in the customer's namespace, its
//! address the one that Kubernetes gave it. A Service can be made to lead elsewhere (by a name, or by endpoints that
//! are written by hand), so what is not an ordinary Service with an ordinary address is refused, unless the operator
//! allows the address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::network::Network;

/// A Kubernetes Service, as far as it says where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// `spec.type`.
    pub kind: String,
    /// `spec.clusterIP`.
    pub cluster_ip: Option<String>,
    /// Whether `spec.selector` selects pods; without one its endpoints may be anything.
    pub selects: bool,
    /// `spec.ports`, those of TCP.
    pub ports: Vec<Port>,
}

/// A port of a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// The Service's own.
    pub port: u16,
    /// That of the pods, where it is a number.
    pub target: Option<u16>,
}

/// Why a check does not go there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not a Service that stands for pods of the customer.
    #[error("its Service is of type {0}: it leads out of the cluster")]
    Kind(String),
    /// It has no address of its own.
    #[error("its Service is headless: it has no address of its own")]
    Headless,
    /// It has something that is no address.
    #[error("its Service has the address {0:?}, which is none")]
    NoAddress(String),
    /// It does not say which pods are behind it.
    #[error("its Service selects no pods: it may lead anywhere")]
    NoSelector,
    /// The address is never that of a customer's pods.
    #[error("its Service has the address {address}, {what}")]
    Forbidden {
        /// Which.
        address: IpAddr,
        /// What stands there.
        what: &'static str,
    },
    /// It has no such port.
    #[error("its Service leads to no port {0}: give `healthCheck.port` one of its ports, or it one more")]
    NoPort(u16),
    /// It has no port at all.
    #[error("its Service has no TCP port")]
    NoPorts,
}

/// The one address that a check of this Service connects to. `reserved` are addresses that no check ever reaches
/// (the API server's); `allowed` is the operator's list of what may be reached although it looks wrong.
///
/// # Errors
/// Why there is none.
pub fn address(
    service: &Service,
    port: Option<u16>,
    reserved: &[IpAddr],
    allowed: &[Network],
) -> Result<SocketAddr, Refusal> {
    if !["ClusterIP", "NodePort", "LoadBalancer"].contains(&service.kind.as_str()) {
        return Err(Refusal::Kind(service.kind.chars().take(40).collect()));
    }
    let ip = match service.cluster_ip.as_deref() {
        None | Some("" | "None") => return Err(Refusal::Headless),
        Some(text) => {
            text.parse::<IpAddr>().map_err(|_| Refusal::NoAddress(text.chars().take(80).collect()))?
        }
    };
    let ip = ip.to_canonical();
    if reserved.iter().any(|one| one.to_canonical() == ip) {
        return Err(Refusal::Forbidden { address: ip, what: "the API server" });
    }
    if !allowed.iter().any(|network| network.contains(ip)) {
        if let Some(what) = special(ip) {
            return Err(Refusal::Forbidden { address: ip, what });
        }
        if !service.selects {
            return Err(Refusal::NoSelector);
        }
    }
    Ok(SocketAddr::new(ip, pick(&service.ports, port)?))
}

/// The Service's port for a wanted one: the one that leads to it, or has its number.
fn pick(ports: &[Port], wanted: Option<u16>) -> Result<u16, Refusal> {
    match wanted {
        None => ports.first().map(|first| first.port).ok_or(Refusal::NoPorts),
        Some(wanted) => {
            let leads = ports.iter().find(|port| port.target == Some(wanted));
            let named = || ports.iter().find(|port| port.port == wanted);
            leads.or_else(named).map(|port| port.port).ok_or(Refusal::NoPort(wanted))
        }
    }
}

/// What stands at an address that no cluster gives to a Service.
fn special(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => special_v4(ip),
        IpAddr::V6(ip) => special_v6(ip),
    }
}

fn special_v4(ip: Ipv4Addr) -> Option<&'static str> {
    match ip.octets() {
        [127, ..] => Some("this very machine"),
        [0, ..] => Some("no address of anything"),
        [169, 254, 169, 254] | [100, 100, 100, 200] => Some("a cloud's metadata"),
        [169, 254, ..] => Some("link-local"),
        [224..=239, ..] => Some("multicast"),
        [240..=255, ..] => Some("reserved"),
        _ => None,
    }
}

fn special_v6(ip: Ipv6Addr) -> Option<&'static str> {
    if ip.is_loopback() {
        return Some("this very machine");
    }
    match ip.segments() {
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254] => Some("a cloud's metadata"),
        [0xfe80..=0xfebf, ..] => Some("link-local"),
        [0xff00..=0xffff, ..] => Some("multicast"),
        // IPv4 in one disguise or another: compatible, translated, tunnelled.
        [0, 0, 0, 0, 0, 0, ..] | [0x0064, 0xff9b, ..] | [0x2002, ..] | [0x2001, 0, ..] => {
            Some("an IPv4 address in disguise")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> Service {
        Service {
            kind: "ClusterIP".into(),
            cluster_ip: Some("10.96.7.1".into()),
            selects: true,
            ports: vec![Port { port: 80, target: Some(8080) }, Port { port: 9090, target: None }],
        }
    }

    /// Where a check goes after a change of the Service, or why it does not.
    fn check(change: impl FnOnce(&mut Service), port: Option<u16>, allowed: &[&str], expected: &str) {
        let mut service = service();
        change(&mut service);
        let allowed: Vec<Network> = allowed.iter().map(|text| text.parse().unwrap()).collect();
        let reserved = ["10.96.0.1".parse().unwrap()];
        let told = match address(&service, port, &reserved, &allowed) {
            Ok(address) => address.to_string(),
            Err(refusal) => refusal.to_string(),
        };
        assert_eq!(told, expected, "{service:?}");
    }

    #[test]
    fn a_check_goes_to_the_services_own_address_and_port() {
        check(|_| {}, None, &[], "10.96.7.1:80");
        check(|_| {}, Some(8080), &[], "10.96.7.1:80");
        check(|_| {}, Some(80), &[], "10.96.7.1:80");
        check(|_| {}, Some(9090), &[], "10.96.7.1:9090");
        check(|service| service.kind = "NodePort".into(), None, &[], "10.96.7.1:80");
        check(|service| service.cluster_ip = Some("fd12::7".into()), None, &[], "[fd12::7]:80");
        let none =
            "its Service leads to no port 22: give `healthCheck.port` one of its ports, or it one more";
        check(|_| {}, Some(22), &[], none);
        check(|service| service.ports.clear(), None, &[], "its Service has no TCP port");
    }

    #[test]
    fn a_service_that_leads_elsewhere_is_refused() {
        let out = "its Service is of type ExternalName: it leads out of the cluster";
        check(|service| service.kind = "ExternalName".into(), None, &["0.0.0.0/0"], out);
        let headless = "its Service is headless: it has no address of its own";
        check(|service| service.cluster_ip = Some("None".into()), None, &[], headless);
        check(|service| service.cluster_ip = None, None, &[], headless);
        let name = "its Service has the address \"evil.example\", which is none";
        check(|service| service.cluster_ip = Some("evil.example".into()), None, &[], name);
        let anywhere = "its Service selects no pods: it may lead anywhere";
        check(|service| service.selects = false, None, &[], anywhere);
        check(|service| service.selects = false, None, &["10.96.0.0/12"], "10.96.7.1:80");
    }

    #[test]
    fn an_address_that_is_no_services_is_refused_unless_the_operator_allows_it() {
        for (ip, shown, what) in [
            ("169.254.169.254", "169.254.169.254", "a cloud's metadata"),
            ("::ffff:169.254.169.254", "169.254.169.254", "a cloud's metadata"),
            ("100.100.100.200", "100.100.100.200", "a cloud's metadata"),
            ("fd00:ec2::254", "fd00:ec2::254", "a cloud's metadata"),
            ("127.0.0.1", "127.0.0.1", "this very machine"),
            ("127.8.9.1", "127.8.9.1", "this very machine"),
            ("::1", "::1", "this very machine"),
            ("::ffff:127.0.0.1", "127.0.0.1", "this very machine"),
            ("::127.0.0.1", "::7f00:1", "an IPv4 address in disguise"),
            ("64:ff9b::a9fe:a9fe", "64:ff9b::a9fe:a9fe", "an IPv4 address in disguise"),
            ("2002:7f00:1::", "2002:7f00:1::", "an IPv4 address in disguise"),
            ("169.254.1.1", "169.254.1.1", "link-local"),
            ("fe80::1", "fe80::1", "link-local"),
            ("0.0.0.0", "0.0.0.0", "no address of anything"),
            ("::", "::", "an IPv4 address in disguise"),
            ("224.0.0.1", "224.0.0.1", "multicast"),
            ("ff02::1", "ff02::1", "multicast"),
            ("255.255.255.255", "255.255.255.255", "reserved"),
            ("10.96.0.1", "10.96.0.1", "the API server"),
            ("::ffff:10.96.0.1", "10.96.0.1", "the API server"),
        ] {
            let set = |service: &mut Service| service.cluster_ip = Some(ip.into());
            check(set, None, &[], &format!("its Service has the address {shown}, {what}"));
        }
        let loopback = |service: &mut Service| service.cluster_ip = Some("127.0.0.1".into());
        check(loopback, None, &["127.0.0.0/8"], "127.0.0.1:80");
        let server = |service: &mut Service| service.cluster_ip = Some("10.96.0.1".into());
        check(server, None, &["0.0.0.0/0"], "its Service has the address 10.96.0.1, the API server");
    }
}
