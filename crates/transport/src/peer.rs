//! Where a request came from.

use std::net::{IpAddr, Ipv6Addr};

use http::request::Parts;

/// Who is at the other end of the connection: a request extension that [`crate::listener`] sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address: the peer's, or, behind so many proxies of ours, what the outermost of them wrote into `X-Forwarded-For`.
/// What stands further left there is the client's own word and is not believed. `None` where nobody knows.
pub fn client_address(parts: &Parts, proxies: u8) -> Option<IpAddr> {
    let Peer(peer) = *parts.extensions.get::<Peer>()?;
    if proxies == 0 {
        return Some(peer.to_canonical());
    }
    let lists = parts.headers.get_all(FORWARDED_FOR).into_iter().filter_map(|value| value.to_str().ok());
    let addresses: Vec<&str> = lists.flat_map(|list| list.split(',')).map(str::trim).collect();
    let at = addresses.len().checked_sub(proxies.into());
    let forwarded = at.and_then(|at| addresses[at].parse::<IpAddr>().ok());
    Some(forwarded.unwrap_or(peer).to_canonical())
}

/// What one client can be taken to hold: an IPv4 address, or a network of 64 bits in IPv6.
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(peer: Option<&str>, forwarded: &[&str]) -> Parts {
        let mut request = http::Request::builder().uri("/");
        for value in forwarded {
            request = request.header(FORWARDED_FOR, *value);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        if let Some(peer) = peer {
            parts.extensions.insert(Peer(peer.parse().unwrap()));
        }
        parts
    }
    fn address(parts: &Parts, proxies: u8) -> Option<String> {
        client_address(parts, proxies).map(|address| address.to_string())
    }

    #[test]
    fn without_proxies_the_header_is_not_believed() {
        let parts = parts(Some("::ffff:203.0.113.7"), &["198.51.100.1"]);
        assert_eq!(address(&parts, 0).as_deref(), Some("203.0.113.7"));
        assert_eq!(address(&self::parts(None, &["198.51.100.1"]), 1), None);
    }

    #[test]
    fn behind_proxies_the_outermost_of_ours_is_believed_and_nothing_left_of_it() {
        let parts = parts(Some("10.0.0.1"), &["6.6.6.6, 203.0.113.7", "10.0.0.2"]);
        assert_eq!(address(&parts, 1).as_deref(), Some("10.0.0.2"));
        assert_eq!(address(&parts, 2).as_deref(), Some("203.0.113.7"));
        assert_eq!(address(&parts, 4).as_deref(), Some("10.0.0.1"), "a header that is too short is not ours");
        assert_eq!(address(&self::parts(Some("10.0.0.1"), &["nonsense"]), 1).as_deref(), Some("10.0.0.1"));
    }

    #[test]
    fn neighbours_in_a_small_ipv6_network_are_one() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("203.0.113.7"), "203.0.113.7");
    }
}
