//! Containers on networks: published ports, names, and what is left when all have gone.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::thread::JoinHandle;

use runtime::network;
use testutil::{OrdinaryUser, SubordinateIds, Tierce, busybox_in, wait_until};

const BINARY: &str = env!("CARGO_BIN_EXE_tierce");

fn with_image(tierce: &Tierce) {
    let base = tierce.scratch().join("base");
    std::fs::create_dir_all(&base).unwrap();
    busybox_in(tierce, Path::new(&base));
}

/// What a web server says at an address, once it does.
fn page(place: &str) -> String {
    let mut page = String::new();
    wait_until("a page comes", || {
        let Ok(mut stream) = TcpStream::connect(place) else { return false };
        let _ = stream.write_all(b"GET /index.html HTTP/1.0\r\n\r\n");
        page.clear();
        stream.read_to_string(&mut page).is_ok() && page.contains("200 OK")
    });
    page
}

const SERVER: &str = "mkdir -p /www && echo here > /www/index.html && exec httpd -f -p 80 -h /www";

fn a_published_port_leads_to_the_container(tierce: &Tierce) {
    with_image(tierce);
    let id = tierce.ok([
        "run",
        "-d",
        "--name",
        "web",
        "-p",
        "127.0.0.1::80",
        "busybox",
        "sh",
        "-c",
        SERVER,
    ]);
    assert_eq!(id.trim().len(), 64);
    let place = tierce.ok(["port", "web", "80"]);
    assert!(page(place.trim()).ends_with("here\n"));
    assert_eq!(tierce.ok(["port", "web"]), format!("80/tcp -> {place}"));
    let shown = tierce.ok(["ps", "--format", "{{.Ports}}"]);
    assert_eq!(shown, format!("{}->80/tcp\n", place.trim()));
    // Somebody else cannot have it, and gives back what he took.
    let taken = format!("{}:80", place.trim());
    let refused = tierce.run(["run", "--rm", "-p", &taken, "busybox", "true"]);
    assert_eq!(refused.code, 125, "{}", refused.stderr);
    tierce.ok(["rm", "-f", "web"]);
    assert!(TcpStream::connect(place.trim()).is_err());
}

#[test]
fn a_published_port_leads_to_the_container_as_root() {
    a_published_port_leads_to_the_container(&Tierce::new(BINARY));
}

#[test]
fn a_published_port_leads_to_the_container_with_subordinate_ids() {
    let user = OrdinaryUser::new(SubordinateIds::Many);
    a_published_port_leads_to_the_container(&user.tierce(BINARY));
}

#[test]
fn containers_on_a_network_find_each_other_by_name() {
    let tierce = Tierce::new(BINARY);
    with_image(&tierce);
    let net = ["network", "create", "--subnet", "10.211.77.0/24", "lan"];
    let id = tierce.ok(net);
    let bridge = format!("/sys/class/net/tc-{}", &id[..12]);
    assert_eq!(tierce.run(net).code, 1, "the name is taken");
    let waiting = "until wget -q -O - http://web/index.html; do sleep 0.1; done; sleep 1000";
    tierce.ok(["run", "-d", "--name", "early", "--network", "lan", "busybox", "sh", "-c", waiting]);
    let on = ["run", "-d", "--name", "web", "--network", "lan", "--network-alias", "www"];
    tierce.ok([&on[..], &["busybox", "sh", "-c", SERVER]].concat());
    wait_until("the first finds the second", || tierce.ok(["logs", "early"]) == "here\n");
    let fetch = "until wget -q -O - http://www/index.html; do sleep 0.1; done";
    let late = ["run", "--rm", "--network", "lan", "busybox", "sh", "-c", fetch];
    assert_eq!(tierce.ok(late), "here\n");
    // The machine reaches them, and they see it as their gateway.
    let format = "{{.NetworkSettings.IPAddress}} {{.NetworkSettings.Gateway}}";
    let seen = tierce.ok(["inspect", "-f", format, "web"]);
    let (address, gateway) = seen.trim().split_once(' ').unwrap();
    assert_eq!(gateway, "10.211.77.1");
    assert!(page(&format!("{address}:80")).ends_with("here\n"));
    let shared = ["run", "--rm", "--network", "container:web", "busybox", "ifconfig", "eth0"];
    assert!(tierce.ok(shared).contains(address));

    assert_eq!(tierce.run(["network", "rm", "lan"]).code, 1, "it is in use");
    assert!(Path::new(&bridge).exists());
    tierce.ok(["rm", "-f", "web", "early"]);
    assert!(!Path::new(&bridge).exists(), "the last one takes the bridge with him");
    tierce.ok(["network", "rm", "lan"]);
    assert_eq!(tierce.ok(["network", "ls", "-q", "--filter", "type=custom"]), "");
}

/// Makes of two namespaces a world with a server at 192.0.2.1 and another machine at 192.0.2.2,
/// which is in it as a container is on a bridge. Answers with who asks the server first.
fn world_of(world: BorrowedFd<'_>, machine: BorrowedFd<'_>) -> JoinHandle<IpAddr> {
    let at = |last| network::Interface { address: Ipv4Addr::new(192, 0, 2, last), prefix: 24 };
    let server = network::in_namespace(world, || {
        network::ensure_bridge("world", at(1)).unwrap();
        let uplink = network::Uplink::Bridge { name: "world", outside: "m" };
        network::connect(
            machine,
            uplink,
            at(2),
            network::link_address(at(2).address),
            Some(at(1).address),
        )
        .unwrap();
        TcpListener::bind("192.0.2.1:80")
    })
    .unwrap();
    std::thread::spawn(move || {
        let (mut stream, visitor) = server.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        stream.write_all(b"the world\n").unwrap();
        visitor.ip()
    })
}

#[test]
fn containers_have_addresses_of_their_own_on_the_machines_link() {
    let tierce = Tierce::new(BINARY);
    with_image(&tierce);
    let [world, machine] = [(); 2].map(|()| network::new_namespace().unwrap());
    let visitor = world_of(world.as_fd(), machine.as_fd());
    network::in_namespace(machine.as_fd(), || {
        let create = ["network", "create", "-d", "macvlan", "--subnet", "192.0.2.0/24"];
        assert_eq!(tierce.run([&create[..], &["none"]].concat()).code, 1, "no parent");
        let parent = |name| [&create[..], &["-o", name, "link"]].concat();
        assert_eq!(tierce.run(parent("parent=nothing")).code, 1);
        tierce.ok(parent("parent=eth0"));
        let made = ["network", "ls", "--format", "{{.Driver}}", "--filter", "type=custom"];
        assert_eq!(tierce.ok(made), "macvlan\n");
        let say = "echo hello | nc 192.0.2.1 80";
        let on = ["run", "--rm", "--network", "link", "--ip", "192.0.2.77"];
        let run = [&on[..], &["busybox", "sh", "-c", say]].concat();
        assert_eq!(tierce.ok(run), "the world\n");
        tierce.ok(["network", "rm", "link"]);
        Ok(())
    })
    .unwrap();
    assert_eq!(visitor.join().unwrap(), Ipv4Addr::new(192, 0, 2, 77));
}

/// A name server of the machine that knows one name.
fn name_server(place: &str) {
    let socket = UdpSocket::bind(place).unwrap();
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut query) {
            let is_known = query[..length].windows(5).any(|name| name == b"world");
            let mut answer = query[..length].to_vec();
            (answer[2], answer[3]) = (0x81, if is_known { 0x80 } else { 0x83 });
            if is_known && query[..length].ends_with(&[0, 1, 0, 1]) {
                answer[7] = 1;
                answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 9, 8, 7, 6]);
            }
            socket.send_to(&answer, client).unwrap();
        }
    });
}

#[test]
fn a_network_has_a_name_server_that_knows_its_containers_and_asks_others() {
    let tierce = Tierce::new(BINARY);
    with_image(&tierce);
    name_server("127.0.53.9:53");
    tierce.ok(["network", "create", "lan"]);
    let on = ["--network", "lan", "--dns", "127.0.53.9"];
    for (name, alias) in [("one", "both"), ("two", "both")] {
        let args = [&["run", "-d", "--name", name, "--network-alias", alias], &on[..]].concat();
        tierce.ok([&args[..], &["busybox", "sleep", "1000"]].concat());
    }
    let address = |name| {
        let found = tierce.ok(["inspect", "-f", "{{.NetworkSettings.IPAddress}}", name]);
        found.trim().to_owned()
    };
    let (one, two) = (address("one"), address("two"));
    let look_up = |name: &str| {
        let run = [&["run", "--rm"], &on[..], &["busybox", "nslookup", name]].concat();
        let said = tierce.run(run);
        assert!(said.stdout.contains("127.0.0.11"), "{said:?}");
        let after = said.stdout.split_once("\n\n").map(|(_, answer)| answer.to_owned());
        (said.code, after.unwrap_or_default())
    };
    assert!(look_up("one").1.contains(&one));
    assert!(look_up("TWO.lan").1.contains(&two));
    let both = look_up("both").1;
    assert!(both.contains(&one) && both.contains(&two), "{both}");
    assert!(look_up(&one).1.contains("one.lan"));
    assert!(look_up("world").1.contains("9.8.7.6"));
    let (code, nobody) = look_up("nobody");
    assert!(code != 0 && nobody.contains("NXDOMAIN"), "{code} {nobody}");
    tierce.ok(["rm", "-f", "one", "two"]);
    tierce.ok(["network", "rm", "lan"]);
}

#[test]
fn a_container_reaches_what_its_machine_reaches_unless_its_network_is_internal() {
    let tierce = Tierce::new(BINARY);
    with_image(&tierce);
    let [world, machine] = [(); 2].map(|()| network::new_namespace().unwrap());
    let visitor = world_of(world.as_fd(), machine.as_fd());
    network::in_namespace(machine.as_fd(), || {
        tierce.ok(["network", "create", "--internal", "inside"]);
        let call = |net| {
            let say = "echo hello | nc 192.0.2.1 80";
            tierce.run(["run", "--rm", "--network", net, "busybox", "sh", "-c", say])
        };
        let shut_in = call("inside");
        assert!(shut_in.stderr.contains("unreachable"), "{shut_in:?}");
        let out = call("bridge");
        assert_eq!(out.stdout, "the world\n", "{out:?}");
        Ok(())
    })
    .unwrap();
    assert_eq!(visitor.join().unwrap(), Ipv4Addr::new(192, 0, 2, 2));
}

fn containers_of_an_ordinary_user_find_each_other(ids: SubordinateIds) {
    let user = OrdinaryUser::new(ids);
    let tierce = user.tierce(BINARY);
    with_image(&tierce);
    tierce.ok(["network", "create", "lan"]);
    let on = ["run", "-d", "--name", "web", "--network", "lan", "-p", "127.0.0.1::80"];
    tierce.ok([&on[..], &["busybox", "sh", "-c", SERVER]].concat());
    assert!(page(tierce.ok(["port", "web", "80"]).trim()).ends_with("here\n"));
    let fetch = "until wget -q -O - http://web/index.html; do sleep 0.1; done";
    let look = ["run", "--rm", "--network", "lan", "busybox", "sh", "-c", fetch];
    assert_eq!(tierce.ok(look), "here\n");
    assert_eq!(
        tierce
            .ok(["run", "--rm", "--network", "container:web", "busybox", "hostname", "-i"])
            .lines()
            .count(),
        1
    );

    // More networks, joined and left while it runs.
    tierce.ok(["network", "create", "--internal", "inside"]);
    tierce.ok(["run", "-d", "--name", "other", "--network", "inside", "busybox", "sleep", "1000"]);
    let reaches = || {
        tierce
            .run([
                "exec",
                "other",
                "timeout",
                "3",
                "wget",
                "-q",
                "-O",
                "-",
                "http://web/index.html",
            ])
            .stdout
            == "here\n"
    };
    assert!(!reaches());
    tierce.ok(["network", "connect", "inside", "web"]);
    assert!(reaches());

    // Each of those who hold the bridges may be killed: the others have them still.
    kill_keeper(&tierce, "web");
    tierce.ok(["start", "web"]);
    wait_until("the server is there again", reaches);
    kill_keeper(&tierce, "other");
    assert_eq!(tierce.ok(look), "here\n");
    // What runs can be copied from: all are in one namespace of users.
    let file = tierce.scratch().join("copied").display().to_string();
    tierce.ok(["cp", "web:/www/index.html", &file]);
    let refused = tierce.run(["network", "create", "-d", "macvlan", "-o", "parent=lo", "link"]);
    assert_eq!(refused.code, 0, "{refused:?}");
    let refused = tierce.run(["run", "--rm", "--network", "link", "busybox", "true"]);
    assert!(refused.code == 125 && refused.stderr.contains("only root"), "{refused:?}");
    tierce.ok(["rm", "-f", "web", "other"]);
    tierce.ok(["network", "rm", "lan", "inside", "link"]);
    assert_eq!(std::fs::read_dir(tierce.root().join("networks/.holders")).unwrap().count(), 0);
    let mark = tierce.root().display().to_string();
    wait_until("all processes are gone", || testutil::processes_with(&mark).is_empty());
}

fn kill_keeper(tierce: &Tierce, name: &str) {
    let pid = tierce.ok(["inspect", "-f", "{{.State.Pid}}", name]);
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap();
    let keeper = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap();
    assert!(std::process::Command::new("kill").args(["-9", keeper]).status().unwrap().success());
    wait_until("its end is known", || {
        tierce.ok(["inspect", "-f", "{{.State.Status}}", name]) == "exited\n"
    });
}

#[test]
fn containers_of_an_ordinary_user_with_subordinate_ids_find_each_other() {
    containers_of_an_ordinary_user_find_each_other(SubordinateIds::Many);
}

#[test]
fn containers_of_an_ordinary_user_with_one_id_find_each_other() {
    containers_of_an_ordinary_user_find_each_other(SubordinateIds::None);
}

/// Gives who starts a command the device by which a program reaches a namespace, and no program
/// but one.
const WITH_TUN: &str = "mount --bind \"$1\" /dev/net/tun; mount --bind /dev/null \"$2\"; \
                        shift 2; exec \"$@\"";

fn an_ordinary_users_containers_have_a_way_out_by(program: &str, and_not_by: &str, mark: &str) {
    let [_, hidden] = [program, and_not_by].map(|program| {
        let found = std::process::Command::new("which").arg(program).output().unwrap();
        let path = String::from_utf8(found.stdout).unwrap().trim().to_owned();
        assert!(
            !path.is_empty(),
            "{program} is missing: run `cargo xtask test`, which installs it"
        );
        std::fs::canonicalize(path).unwrap().display().to_string()
    });
    let user = OrdinaryUser::new(SubordinateIds::Many);
    let device = testutil::Scratch::new();
    let tun = device.join("tun").display().to_string();
    let made =
        std::process::Command::new("mknod").args(["-m", "666", &tun, "c", "10", "200"]).status();
    assert!(made.unwrap().success());
    let launcher = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        WITH_TUN,
        "sh",
        &tun,
        &hidden,
    ];
    let words = launcher.into_iter().map(std::ffi::OsString::from).chain(user.launcher(BINARY));
    let tierce = user.tierce(BINARY).launched_by(words);
    with_image(&tierce);
    let [world, machine] = [(); 2].map(|()| network::new_namespace().unwrap());
    let visitor = world_of(world.as_fd(), machine.as_fd());
    network::in_namespace(machine.as_fd(), || {
        tierce.ok(["network", "create", "lan"]);
        // Both ends are open until all is said: pasta of 2023 loses what comes after one is not.
        let say = "(echo hello; sleep 1) | nc 192.0.2.1 80";
        let output = tierce.run(["run", "--rm", "--network", "lan", "busybox", "sh", "-c", say]);
        assert_eq!(
            (output.stdout.as_str(), output.stderr.contains("no way out")),
            ("the world\n", false),
            "{output:?}"
        );
        Ok(())
    })
    .unwrap();
    assert_eq!(visitor.join().unwrap(), Ipv4Addr::new(192, 0, 2, 2));
    wait_until("its program has ended", || testutil::processes_with(mark).is_empty());
}

#[test]
fn an_ordinary_users_containers_have_a_way_out_by_slirp4netns() {
    an_ordinary_users_containers_have_a_way_out_by("slirp4netns", "pasta", "--exit-fd");
}

#[test]
fn an_ordinary_users_containers_have_a_way_out_by_pasta() {
    an_ordinary_users_containers_have_a_way_out_by("pasta", "slirp4netns", "--config-net");
}

#[test]
fn what_a_killed_keeper_leaves_is_swept() {
    let tierce = Tierce::new(BINARY);
    with_image(&tierce);
    let id = tierce.ok(["network", "create", "--subnet", "10.211.78.0/24", "lan"]);
    let bridge = format!("/sys/class/net/tc-{}", &id[..12]);
    let mark = tierce.root().display().to_string();
    let mut run = tierce
        .command(["run", "--rm", "--network", "lan", "busybox", "sleep", "1013"])
        .spawn()
        .unwrap();
    let running = || testutil::processes_with(&mark).iter().any(|line| line.starts_with("sleep"));
    wait_until("it runs", || !tierce.ok(["ps", "-q"]).is_empty() && Path::new(&bridge).exists());
    run.kill().unwrap();
    run.wait().unwrap();
    wait_until("it has gone", || !running() && tierce.ok(["ps", "-q"]).is_empty());
    tierce.ok(["network", "ls"]);
    assert!(!Path::new(&bridge).exists());
    tierce.ok(["network", "rm", "lan"]);
}

#[test]
fn a_container_is_connected_to_more_networks_and_taken_off_them() {
    let tierce = Tierce::new(BINARY);
    with_image(&tierce);
    for network in ["one", "two"] {
        tierce.ok(["network", "create", network]);
    }
    let start = |name: &str, network: &str| {
        tierce.ok([
            "run",
            "-d",
            "--name",
            name,
            "--network",
            network,
            "busybox",
            "sh",
            "-c",
            SERVER,
        ]);
    };
    start("left", "one");
    start("right", "two");
    let reaches = |from: &str, to: &str| {
        let url = format!("http://{to}/index.html");
        tierce.run(["exec", from, "timeout", "3", "wget", "-q", "-O", "-", &url]).stdout == "here\n"
    };
    wait_until("the servers are there", || reaches("left", "left") && reaches("right", "right"));
    assert!(!reaches("left", "right"), "they are on different networks");

    tierce.ok(["network", "connect", "--alias", "l", "two", "left"]);
    assert!(reaches("left", "right") && reaches("right", "left") && reaches("right", "l"));
    let again = tierce.run(["network", "connect", "two", "left"]);
    assert!(again.code == 1 && again.stderr.contains("is on network two already"), "{again:?}");
    let address = "{{.NetworkSettings.Networks.two.IPAddress}}";
    let address = || tierce.ok(["inspect", "--format", address, "left"]).trim().to_owned();
    assert!(reaches("right", &address()));
    assert!(tierce.ok(["network", "inspect", "two"]).contains("\"left\""));
    let refused = tierce.run(["network", "rm", "two"]);
    assert!(refused.code == 1 && refused.stderr.contains("active endpoints"), "{refused:?}");

    // It is so again when the container starts again.
    tierce.ok(["restart", "-t", "0", "left"]);
    wait_until("the server is there again", || reaches("right", "l"));
    assert!(reaches("left", "right"));

    // The first network goes; the other one is then its first.
    tierce.ok(["network", "disconnect", "one", "left"]);
    tierce.ok(["network", "rm", "one"]);
    assert!(reaches("right", "left") && reaches("left", "right"));
    let route = ["exec", "left", "ip", "route"];
    assert!(tierce.ok(route).contains("default via"), "the way out leads through the other one");
    tierce.ok(["network", "disconnect", "two", "left"]);
    assert!(!reaches("right", "left") && !reaches("right", "l") && !reaches("left", "right"));
    assert_eq!(tierce.run(["network", "disconnect", "two", "left"]).code, 1);

    // One that does not run is on it when it starts, with the address that it is to have.
    tierce.ok(["create", "--name", "later", "--network", "two", "busybox", "sh", "-c", SERVER]);
    tierce.ok(["network", "create", "--subnet", "10.213.55.0/24", "three"]);
    tierce.ok(["network", "connect", "--ip", "10.213.55.77", "three", "later"]);
    let outside = tierce.run(["network", "connect", "--ip", "10.9.9.9", "three", "right"]);
    assert!(outside.code == 1 && outside.stderr.contains("not an address of"), "{outside:?}");
    tierce.ok(["start", "later"]);
    assert!(page("10.213.55.77:80").ends_with("here\n"));

    let bridges = |name: &str| {
        let option = "{{.Options.interface}}";
        tierce.ok(["network", "inspect", "--format", option, name]).trim().to_owned()
    };
    let bridges = ["two", "three"].map(bridges);
    tierce.ok(["rm", "-f", "left", "right", "later"]);
    for bridge in bridges {
        wait_until("the bridges go with the last container", || !network::is_there(&bridge));
    }
    let alone = ["run", "-d", "--name", "alone", "--network", "none", "busybox", "sleep", "60"];
    tierce.ok(alone);
    let refused = tierce.run(["network", "connect", "two", "alone"]);
    assert!(refused.code == 1 && refused.stderr.contains("the only one"), "{refused:?}");
    tierce.ok(["rm", "-f", "alone"]);
}
