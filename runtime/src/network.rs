//! Networks of containers, made of the kernel's own interfaces: a bridge a network, and a pair of
//! connected interfaces (veth(4)) a container.
//!
//! A pair vanishes with the container's namespace, however that ends; the bridge stays until it is
//! [removed](remove_bridge), and what was opened for it with it. Rules and settings that are not
//! its own are left as they are.

mod message;
mod netlink;
mod rules;
pub mod way_out;

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::thread;

use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::Error;
use crate::sys;
use message::{Address, NewLink, Route};
use netlink::Netlink;

/// How many networks a container can be on.
const MOST_INTERFACES: usize = 64;

/// A network of version 4 with its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    /// The address.
    pub address: Ipv4Addr,
    /// How many bits of it are the network's.
    pub prefix: u8,
}

/// Makes a network namespace in which only loopback is up. It lasts as long as the descriptor or
/// a process in it.
///
/// # Errors
/// When the kernel refuses one.
pub fn new_namespace() -> Result<OwnedFd, Error> {
    let failed = |errno: Errno| Error::setup("make a network namespace", errno);
    // A namespace is a thread's own.
    let made = thread::spawn(|| {
        sys::unshare(libc::CLONE_NEWNET)?;
        sys::loopback_up()?;
        let namespace = File::open("/proc/thread-self/ns/net");
        namespace.map(OwnedFd::from).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
    });
    made.join().unwrap_or(Err(Errno::IO)).map_err(failed)
}

/// The network namespace of a process.
///
/// # Errors
/// When it is gone, or not ours to see.
pub fn namespace_of(pid: u32) -> Result<OwnedFd, Error> {
    File::open(format!("/proc/{pid}/ns/net")).map(OwnedFd::from).map_err(|error| {
        Error::setup(format!("open the network namespace of process {pid}"), error)
    })
}

/// Does something in a network namespace, on a thread of its own.
///
/// # Errors
/// When the namespace cannot be entered; those of `act`.
pub fn in_namespace<T: Send>(
    namespace: BorrowedFd<'_>,
    act: impl FnOnce() -> std::io::Result<T> + Send,
) -> std::io::Result<T> {
    thread::scope(|scope| {
        let acting = scope.spawn(|| {
            move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))?;
            act()
        });
        acting.join().unwrap_or_else(|_| Err(std::io::Error::other("the thread panicked")))
    })
}

/// Makes a bridge with an address, which stands for the machine, unless it is there.
///
/// # Errors
/// When the kernel refuses.
pub fn ensure_bridge(name: &str, gateway: Interface) -> Result<(), Error> {
    let make = || {
        let netlink = Netlink::open()?;
        match netlink.ask(&NewLink::bridge(name)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        let index = index_of(name)?;
        match netlink.ask(&Address { index, interface: gateway }) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        netlink.ask(&message::Up { index })
    };
    make().map_err(|errno| Error::setup(format!("make the bridge {name}"), errno))
}

/// Whether there is an interface of this name.
pub fn is_there(interface: &str) -> bool {
    index_of(interface).is_ok()
}

/// Removes a bridge, if it is there, and its way out.
///
/// # Errors
/// When the kernel refuses.
pub fn remove_bridge(name: &str) -> Result<(), Error> {
    if name.starts_with(way_out::BRIDGES) {
        way_out::close(name)?;
    }
    let remove = || match index_of(name) {
        Err(Errno::NODEV) => Ok(()),
        Err(errno) => Err(errno),
        Ok(index) => Netlink::open()?.ask(&message::RemoveLink { index }),
    };
    remove().map_err(|errno| Error::setup(format!("remove the bridge {name}"), errno))
}

/// The address that an interface with this address has on its link unless it is given another: as docker's did, so that who
/// remembers one finds the container again.
pub fn link_address(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0x42, a, b, c, d]
}

/// What a namespace is connected to.
#[derive(Debug, Clone, Copy)]
pub enum Uplink<'a> {
    /// A bridge of ours.
    Bridge {
        /// Its name.
        name: &'a str,
        /// What the machine's end of the connection is to be called.
        outside: &'a str,
    },
    /// The link that an interface of the machine is on, with an address of its own there. Machine
    /// and container do not reach each other through it.
    Macvlan {
        /// Its name.
        name: &'a str,
    },
}

/// Connects a namespace: gives it an interface with an address and one on its link, and a way out through the gateway,
/// if there is to be one and it has none yet. Answers with the interface's name in the namespace:
/// `eth0` of the first one, as with docker.
///
/// # Errors
/// When the kernel refuses, or the namespace has 64 interfaces already.
pub fn connect(
    namespace: BorrowedFd<'_>,
    uplink: Uplink<'_>,
    interface: Interface,
    link_address: [u8; 6],
    gateway: Option<Ipv4Addr>,
) -> Result<String, Error> {
    let (Uplink::Bridge { name, .. } | Uplink::Macvlan { name }) = uplink;
    let failed = |errno| Error::setup(format!("connect a container to {name}"), errno);
    let failed_inside =
        |error: std::io::Error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    let inside = in_namespace(namespace, || {
        let mut names = (0..MOST_INTERFACES).map(|number| format!("eth{number}"));
        names.find(|name| !is_there(name)).ok_or(Errno::NOSPC.into())
    });
    let inside = inside.map_err(failed_inside)?;
    let make = || {
        let netlink = Netlink::open()?;
        let (upper, namespace) = (index_of(name)?, namespace.as_raw_fd());
        match uplink {
            Uplink::Bridge { outside, .. } => {
                netlink.ask(&NewLink::pair(outside, &inside, link_address, namespace, upper))?;
                netlink.ask(&message::Up { index: index_of(outside)? })
            }
            Uplink::Macvlan { .. } => {
                netlink.ask(&NewLink::macvlan(&inside, link_address, namespace, upper))
            }
        }
    };
    make().map_err(failed)?;
    in_namespace(namespace, || {
        let netlink = Netlink::open()?;
        let index = index_of(&inside)?;
        netlink.ask(&Address { index, interface })?;
        netlink.ask(&message::Up { index })?;
        match gateway.map(|gateway| netlink.ask(&Route { gateway, index })) {
            None | Some(Ok(()) | Err(Errno::EXIST)) => Ok(()),
            Some(Err(errno)) => Err(errno.into()),
        }
    })
    .map_err(failed_inside)?;
    Ok(inside)
}

/// Takes an interface away from a namespace, if it is there, and with it the way out that leads
/// through it.
///
/// # Errors
/// When the kernel refuses.
pub fn disconnect(namespace: BorrowedFd<'_>, interface: &str) -> Result<(), Error> {
    let gone = in_namespace(namespace, || match index_of(interface) {
        Err(Errno::NODEV) => Ok(()),
        Err(errno) => Err(errno.into()),
        Ok(index) => Ok(Netlink::open()?.ask(&message::RemoveLink { index })?),
    });
    gone.map_err(|error| Error::setup(format!("take the interface {interface} away"), error))
}

/// Gives a namespace a way out through a gateway, unless it has one.
///
/// # Errors
/// When the kernel refuses.
pub fn lead_out(
    namespace: BorrowedFd<'_>,
    interface: &str,
    gateway: Ipv4Addr,
) -> Result<(), Error> {
    let led = in_namespace(namespace, || {
        let index = index_of(interface)?;
        match Netlink::open()?.ask(&Route { gateway, index }) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    });
    led.map_err(|error| Error::setup(format!("lead out through {gateway}"), error))
}

/// The number of an interface of the calling thread's namespace.
fn index_of(name: &str) -> Result<u32, Errno> {
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        None,
    )?;
    rustix::net::netdevice::name_to_index(socket.as_fd(), name)
}
