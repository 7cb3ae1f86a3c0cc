//! Namespaces joined by a bridge. What needs root says so by passing over.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::thread;

use runtime::network::{
    Interface, Uplink, connect, ensure_bridge, in_namespace, link_address, new_namespace,
    remove_bridge, way_out,
};

fn is_there(interface: &str) -> bool {
    std::path::Path::new("/sys/class/net").join(interface).exists()
}

#[test]
fn two_namespaces_on_a_bridge_reach_each_other_and_the_machine() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let bridge = format!("tct{}", std::process::id());
    let address = |last| Interface { address: Ipv4Addr::new(10, 213, 7, last), prefix: 24 };
    ensure_bridge(&bridge, address(1)).unwrap();
    ensure_bridge(&bridge, address(1)).unwrap();
    let (one, two) = (new_namespace().unwrap(), new_namespace().unwrap());
    let outside = |side: &str| format!("tct{}{side}", std::process::id());
    let gateway = Some(address(1).address);
    connect(
        one.as_fd(),
        Uplink::Bridge { name: &bridge, outside: &outside("a") },
        address(2),
        link_address(address(2).address),
        gateway,
    )
    .unwrap();
    connect(
        two.as_fd(),
        Uplink::Bridge { name: &bridge, outside: &outside("b") },
        address(3),
        link_address(address(3).address),
        gateway,
    )
    .unwrap();
    let listener = in_namespace(one.as_fd(), || TcpListener::bind("0.0.0.0:80")).unwrap();
    let serving = thread::spawn(move || {
        for _ in 0..2 {
            listener.accept().unwrap().0.write_all(b"hello").unwrap();
        }
    });
    let mut said = String::new();
    let mut from_two = in_namespace(two.as_fd(), || TcpStream::connect("10.213.7.2:80")).unwrap();
    from_two.read_to_string(&mut said).unwrap();
    TcpStream::connect("10.213.7.2:80").unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "hellohello");
    serving.join().unwrap();
    drop((one, two, from_two));
    remove_bridge(&bridge).unwrap();
    remove_bridge(&bridge).unwrap();
    assert!(!is_there(&bridge));
}

/// Whether what comes in by an interface is passed on, in this thread's namespace.
fn is_forwarding(interface: &str) -> bool {
    let setting = format!("/proc/sys/net/ipv4/conf/{interface}/forwarding");
    std::fs::read_to_string(setting).unwrap().trim() == "1"
}

#[test]
fn a_bridge_with_a_way_out_reaches_what_the_machine_reaches_and_leaves_no_trace() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let at = |a, b, c, last| Interface { address: Ipv4Addr::new(a, b, c, last), prefix: 24 };
    let [world, machine, container] = [(); 3].map(|()| new_namespace().unwrap());
    // The machine is in the world as a container is on a bridge.
    let server = in_namespace(world.as_fd(), || {
        ensure_bridge("world", at(192, 0, 2, 1)).unwrap();
        let router = Some(Ipv4Addr::new(192, 0, 2, 1));
        connect(
            machine.as_fd(),
            Uplink::Bridge { name: "world", outside: "machine" },
            at(192, 0, 2, 2),
            link_address(at(192, 0, 2, 2).address),
            router,
        )
        .unwrap();
        TcpListener::bind("192.0.2.1:80")
    })
    .unwrap();
    let bridge = "tc-way-out";
    in_namespace(machine.as_fd(), || {
        // A new namespace takes this over from the first one.
        std::fs::write("/proc/sys/net/ipv4/conf/eth0/forwarding", "0").unwrap();
        ensure_bridge(bridge, at(10, 213, 9, 1)).unwrap();
        let gateway = Some(Ipv4Addr::new(10, 213, 9, 1));
        connect(
            container.as_fd(),
            Uplink::Bridge { name: bridge, outside: "inside" },
            at(10, 213, 9, 2),
            link_address(at(10, 213, 9, 2).address),
            gateway,
        )
        .unwrap();
        assert!(way_out::open(bridge, at(10, 213, 9, 0)).unwrap());
        assert!(way_out::open(bridge, at(10, 213, 9, 0)).unwrap(), "opened again");
        assert!(is_forwarding("eth0"));
        Ok(())
    })
    .unwrap();
    let seen = thread::spawn(move || server.accept().unwrap().1.ip());
    in_namespace(container.as_fd(), || TcpStream::connect("192.0.2.1:80")).unwrap();
    assert_eq!(seen.join().unwrap(), Ipv4Addr::new(192, 0, 2, 2), "seen as the machine");
    in_namespace(machine.as_fd(), || {
        remove_bridge(bridge).unwrap();
        assert!(!is_forwarding("eth0"), "as it was");
        Ok(())
    })
    .unwrap();
}
