//! Containers and networks in lists, narrowed by docker's filters and shown in its words.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use testutil::{Tierce, busybox};

/// Containers `web`, which runs on networks, `over` and `new`.
fn tierce() -> Tierce {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    tierce.ok(["network", "create", "--subnet", "10.214.7.0/24", "lan"]);
    tierce.ok(["network", "create", "--subnet", "10.214.8.0/24", "more"]);
    let web = ["run", "-d", "--name", "web", "--label", "a=1", "-v", "kept:/data", "--expose", "7"];
    let networks = ["--network", "lan", "--network", "name=more,alias=shop,ip=10.214.8.9"];
    let port = ["-p", "127.0.0.1::80", "--mac-address", "02:42:AC:00:00:07"];
    tierce.ok([&web[..], &networks, &port, &["busybox", "sleep", "1000"]].concat());
    tierce.run(["run", "--name", "over", "--label", "a=2", "busybox", "sh", "-c", "exit 3"]);
    tierce.ok(["create", "--name", "new", "-v", "/etc:/machine:ro", "busybox", "true"]);
    tierce
}

#[test]
fn containers_are_found_by_what_they_are() {
    let tierce = tierce();
    let port = tierce.ok(["port", "web", "80"]);
    let port = format!("publish={}", port.trim().rsplit_once(':').unwrap().1);
    let id = tierce.ok(["network", "inspect", "-f", "{{.Id}}", "more"]);
    let by_id = format!("network={}", &id[..12]);
    for (filters, expected) in [
        (&["name=^[on]"][..], &["new", "over"][..]),
        (&["name=["], &[]),
        (&["name=^/web$"], &["web"]),
        (&["status=created"], &["new"]),
        (&["status=exited", "status=running"], &["over", "web"]),
        (&["exited=3"], &["over"]),
        (&["label=a"], &["over", "web"]),
        (&["label=a=2"], &["over"]),
        (&["ancestor=busybox"], &["new", "over", "web"]),
        (&["before=new", "since=web"], &["over"]),
        (&["health=none"], &["new", "over", "web"]),
        (&["health=healthy"], &[]),
        (&["volume=kept"], &["web"]),
        (&["volume=/data"], &["web"]),
        (&["volume=/etc"], &["new"]),
        (&["volume=nothing"], &[]),
        (&["network=lan"], &["web"]),
        (&[by_id.as_str()], &["web"]),
        (&["network=host"], &["new", "over"]),
        (&[port.as_str()], &["web"]),
        (&["publish=1-2"], &[]),
        (&["expose=7"], &["web"]),
        (&["expose=80/tcp"], &["web"]),
        (&["expose=80/udp"], &[]),
        (&["is-task=true"], &[]),
        (&["is-task=false"], &["new", "over", "web"]),
        (&["isolation=default"], &["new", "over", "web"]),
    ] {
        let mut args = vec!["ps", "-a", "--format", "{{.Names}}"];
        filters.iter().for_each(|filter| args.extend(["--filter", filter]));
        let list = tierce.ok(args);
        assert_eq!(list.lines().collect::<Vec<_>>(), expected, "{filters:?}");
    }
    for filter in
        ["nothing=1", "status=nothing", "exited=x", "health=x", "expose=x", "before=nobody"]
    {
        assert_eq!(tierce.run(["ps", "--filter", filter]).code, 1, "{filter}");
    }
    assert_eq!(tierce.ok(["ps", "-n", "0", "--format", "{{.Names}}"]), "web\n");
    assert_eq!(tierce.ok(["ps", "-n", "2", "--format", "{{.Names}}"]), "new\nover\n");
    tierce.ok(["rm", "-f", "web"]);
}

#[test]
fn containers_are_shown_in_dockers_words() {
    let tierce = tierce();
    let place = tierce.ok(["port", "web", "80"]);
    let format = "{{.Names}}|{{.Command}}|{{.Networks}}|{{.Ports}}|{{.Mounts}}";
    let ports = format!("7/tcp, {}->80/tcp", place.trim());
    let expected = format!(
        "new|\"true\"|host||/etc\nover|\"sh -c 'exit 3'\"|host||\nweb|\"sleep 1000\"|lan,more|{ports}|kept\n"
    );
    assert_eq!(tierce.ok(["ps", "-a", "--format", format]), expected);
    let sizes = tierce.ok(["ps", "-as", "--format", "{{.Size}}"]);
    assert!(sizes.lines().all(|size| size.starts_with("0B (virtual ")), "{sizes}");

    // What it has on its networks.
    for (field, expected) in [
        (".Networks.lan.MacAddress", "02:42:ac:00:00:07"),
        (".Networks.more.MacAddress", "02:42:0a:d6:08:09"),
        (".Networks.more.IPAMConfig.IPv4Address", "10.214.8.9"),
        (".Networks.more.Aliases", "[shop]"),
        (".Networks.none.IPAddress", "<no value>"),
        (".Bridge", ""),
    ] {
        let format = format!("{{{{.NetworkSettings{field}}}}}");
        assert_eq!(tierce.ok(["inspect", "-f", &format, "web"]).trim(), expected, "{field}");
    }
    let links = tierce.ok(["exec", "web", "cat", "/sys/class/net/eth0/address"]);
    assert_eq!(links, "02:42:ac:00:00:07\n");
    let format =
        "{{range .Containers}}{{.Name}} {{.MacAddress}} {{.IPv4Address}}{{.IPv6Address}}{{end}}";
    let shown = tierce.ok(["network", "inspect", "-f", format, "lan"]);
    assert_eq!(shown, "web 02:42:ac:00:00:07 10.214.7.2/24\n");
    tierce.ok(["rm", "-f", "web"]);
}

#[test]
fn networks_are_found_by_what_they_are() {
    let tierce = tierce();
    for (filter, expected) in [
        ("type=custom", &["lan", "more"][..]),
        ("type=builtin", &["bridge", "host", "none"]),
        ("driver=null", &["none"]),
        ("scope=local", &["bridge", "host", "lan", "more", "none"]),
        ("name=^(lan|host)$", &["host", "lan"]),
        ("dangling=true", &[]),
    ] {
        let list = tierce.ok(["network", "ls", "--format", "{{.Name}}", "--filter", filter]);
        assert_eq!(list.lines().collect::<Vec<_>>(), expected, "{filter}");
    }
    for filter in ["type=x", "scope=x", "nothing=x"] {
        assert_eq!(tierce.run(["network", "ls", "--filter", filter]).code, 1, "{filter}");
    }
    let found =
        tierce.run(["network", "inspect", "-f", "{{.Name}} {{.Driver}}", "host", "x", "lan"]);
    assert_eq!((found.code, found.stdout.as_str()), (1, "host host\nlan bridge\n"));
    assert_eq!(tierce.run(["network", "inspect", "x"]).stdout, "[]\n");
    for subnet in ["10.214.7.0/24", "10.214.0.0/16", "10.214.8.128/25"] {
        let refused = tierce.run(["network", "create", "--subnet", subnet, "over"]);
        assert!(refused.code == 1 && refused.stderr.contains("overlaps"), "{refused:?}");
    }
    tierce.ok(["rm", "-f", "web"]);
    let list = tierce.ok(["network", "ls", "--format", "{{.Name}}", "--filter", "dangling=true"]);
    assert_eq!(list, "lan\nmore\n");
    assert_eq!(tierce.ok(["network", "prune", "-f"]), "Deleted Networks:\nlan\nmore\n");
}

#[test]
fn addresses_are_given_of_a_part_of_a_network() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    let create = ["network", "create", "--subnet", "10.214.9.0/24", "--gateway", "10.214.9.129"];
    let part = ["--ip-range", "10.214.9.128/29", "--aux-address", "printer=10.214.9.130", "part"];
    tierce.ok([&create[..], &part].concat());
    let format = "{{range .IPAM.Config}}{{.IPRange}} {{.AuxiliaryAddresses.printer}}{{end}}";
    let shown = tierce.ok(["network", "inspect", "-f", format, "part"]);
    assert_eq!(shown, "10.214.9.128/29 10.214.9.130\n");
    for (name, address) in [("one", "10.214.9.128"), ("two", "10.214.9.131")] {
        tierce.ok(["run", "-d", "--name", name, "--network", "part", "busybox", "sleep", "1000"]);
        let format = "{{.NetworkSettings.Networks.part.IPAddress}}";
        assert_eq!(tierce.ok(["inspect", "-f", format, name]).trim(), address);
    }
    // What is chosen need not be of that part, but nobody else's.
    let on = |address| ["run", "--rm", "--network", "part", "--ip", address, "busybox", "true"];
    tierce.ok(on("10.214.9.7"));
    assert_eq!(tierce.run(on("10.214.9.130")).code, 125);
    for part in [["--ip-range", "10.214.10.0/29"], ["--aux-address", "a=10.214.10.1"]] {
        let create = ["network", "create", "--subnet", "10.215.9.0/24", "other"];
        assert_eq!(tierce.run([&create[..], &part].concat()).code, 1, "{part:?}");
    }
    tierce.ok(["rm", "-f", "one", "two"]);
    tierce.ok(["network", "rm", "part"]);
}
