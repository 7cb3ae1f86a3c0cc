//! Origins: where credentials may go, and where a registry may send us.

use std::net::IpAddr;

use url::{Host, Url};

/// Whether two URLs have the same scheme, host and port. Credentials stay within one origin.
pub(crate) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host() == b.host()
        && a.port_or_known_default() == b.port_or_known_default()
}

/// Whether the host is on the loopback interface, by its name or address alone.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What a registry may point at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pointer {
    /// A redirect of a download. What comes is checked, so private networks are allowed.
    Redirect,
    /// A place that will get our bytes or credentials.
    Upload,
    /// A token service.
    Realm,
}

impl Pointer {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Pointer::Redirect => "a redirect",
            Pointer::Upload => "an upload location",
            Pointer::Realm => "a token realm",
        }
    }
}

/// Checks that `from` may send us to `to`.
///
/// # Errors
/// The reason why not: a step from TLS to plain HTTP, or from outside into this machine or (for
/// what carries our bytes) into a private network.
pub(crate) fn check(from: &Url, to: &Url, pointer: Pointer) -> Result<(), &'static str> {
    match to.scheme() {
        "https" => {}
        "http" if from.scheme() == "http" => {}
        "http" => return Err("it leads from TLS to plain HTTP"),
        _ => return Err("it is not an HTTP address"),
    }
    if to.host() == from.host() || is_local(from) {
        return Ok(());
    }
    if is_loopback(to) || address(to).is_some_and(is_link_local) {
        return Err("it leads into this machine");
    }
    if pointer != Pointer::Redirect && address(to).is_some_and(is_private) {
        return Err("it leads into a private network");
    }
    Ok(())
}

/// A registry that is itself in here may point to others in here.
fn is_local(url: &Url) -> bool {
    is_loopback(url) || address(url).is_some_and(is_private)
}

fn address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(match address.to_ipv4_mapped() {
            Some(mapped) => mapped.into(),
            None => address.into(),
        }),
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_unspecified() || v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_loopback(),
    }
}

fn is_private(address: IpAddr) -> bool {
    let shared = |v4: std::net::Ipv4Addr| v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
    match address {
        IpAddr::V4(v4) => v4.is_private() || shared(v4) || is_link_local(address),
        IpAddr::V6(v6) => v6.is_unique_local() || is_link_local(address),
    }
}

/// The URL as it may be printed: without credentials, query and fragment.
pub(crate) fn printable(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Both fail only for URLs without a host, which hold no credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn a_registry_cannot_send_us_anywhere() {
        use Pointer::{Realm, Redirect, Upload};
        for (from, to, pointer, allowed) in [
            ("https://r.io/", "https://cdn.io/", Redirect, true),
            ("https://r.io/", "http://cdn.io/", Redirect, false),
            ("https://r.io/", "https://10.0.0.1/", Redirect, true),
            ("https://r.io/", "https://10.0.0.1/", Upload, false),
            ("https://r.io/", "https://10.0.0.1/", Realm, false),
            ("https://r.io/", "https://[::ffff:10.0.0.1]/", Realm, false),
            ("https://r.io/", "https://169.254.169.254/", Redirect, false),
            ("https://r.io/", "https://localhost/", Redirect, false),
            ("https://r.io/", "https://[::1]/", Realm, false),
            ("https://r.io/", "ftp://cdn.io/", Redirect, false),
            ("http://127.0.0.1:5000/", "http://127.0.0.1:9000/", Upload, true),
            ("http://localhost:5000/", "http://127.0.0.1:9000/", Realm, true),
            ("http://10.1.1.1/", "http://10.2.2.2/", Realm, true),
            ("http://r.lan/", "https://auth.lan/", Realm, true),
        ] {
            let answer = check(&url(from), &url(to), pointer);
            assert_eq!(answer.is_ok(), allowed, "{from} -> {to} as {pointer:?}: {answer:?}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert!(same_origin(&url("https://r.io/a"), &url("https://r.io:443/b?c")));
        for other in ["http://r.io/", "https://r.io:444/", "https://s.io/", "https://r.io.evil/"] {
            assert!(!same_origin(&url("https://r.io/"), &url(other)), "{other}");
        }
    }

    #[test]
    fn secrets_in_urls_are_not_printed() {
        let printed = printable(&url("https://u:p@h/x?X-Amz-Signature=s#f"));
        assert_eq!(printed, "https://h/x");
    }
}
