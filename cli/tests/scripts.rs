//! What scripts written for docker ask for, and read.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use testutil::{Tierce, busybox};

fn tierce() -> Tierce {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    tierce
}

#[test]
fn fields_of_a_container_are_read_by_templates() {
    let tierce = tierce();
    tierce.ok(["network", "create", "--subnet", "10.214.3.0/24", "lan"]);
    let run = ["run", "-d", "--name", "web", "--label", "a.b=c,d", "--annotation", "x=y"];
    let more = ["--network", "lan", "-p", "127.0.0.1::80", "-v", "kept:/data:ro", "-e", "X=1"];
    tierce.ok([&run[..], &more, &["busybox", "sleep", "1000"]].concat());
    let port = tierce.ok(["port", "web", "80"]);
    let port = port.trim().rsplit_once(':').unwrap().1.to_owned();
    for (template, expected) in [
        ("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "10.214.3.2"),
        ("{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}", "lan"),
        ("{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}", port.as_str()),
        (
            "{{range $p, $places := .NetworkSettings.Ports}}{{$p}}{{range $places}} {{.HostIp}}{{end}}{{end}}",
            "80/tcp 127.0.0.1",
        ),
        ("{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "none"),
        ("{{index .Config.Labels \"a.b\"}}", "c,d"),
        ("{{json .HostConfig.Annotations}}", "{\"x\":\"y\"}"),
        (
            "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}}{{end}}",
            "volume kept /data false",
        ),
        (
            "{{range .Config.Env}}{{println .}}{{end}}",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nX=1",
        ),
        (
            "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.CapAdd}} {{.Config.Entrypoint}}",
            "no [] []",
        ),
        (
            "{{.Config.ExposedPorts}} {{.Config.Volumes}} {{.HostConfig.PidsLimit}}",
            "map[80/tcp:{}] map[] <nil>",
        ),
    ] {
        assert_eq!(tierce.ok(["inspect", "-f", template, "web"]).trim(), expected, "{template}");
    }
    let list = tierce.ok(["ps", "--format", "table {{.Names}}\t{{.Label \"a.b\"}}\t{{.State}}"]);
    assert_eq!(list, "NAMES     b         STATE\nweb       c,d       running\n");
    assert_eq!(tierce.run(["inspect", "-f", "{{.State.Nope}}", "web"]).code, 1);

    // Whatever has the name.
    assert_eq!(tierce.ok(["inspect", "-f", "{{.Driver}}", "lan"]), "bridge\n");
    assert_eq!(tierce.ok(["inspect", "-f", "{{.Driver}}", "kept"]), "local\n");
    assert_eq!(tierce.ok(["inspect", "--type", "volume", "-f", "{{.Name}}", "kept"]), "kept\n");
    assert_eq!(tierce.run(["inspect", "--type", "network", "web"]).code, 1);
    assert_eq!(tierce.ok(["inspect", "-s", "-f", "{{.SizeRw}}", "web"]), "0\n");
    assert_eq!(tierce.run(["inspect", "nothing"]).stdout, "[]\n");
    tierce.ok(["rm", "-f", "web"]);
    tierce.ok(["network", "rm", "lan"]);
}

#[test]
fn networks_are_cleared_away_by_what_they_are() {
    let tierce = tierce();
    for (name, label) in [("one", "keep=yes"), ("two", "keep=no")] {
        tierce.ok(["network", "create", "--label", label, name]);
    }
    let prune = ["network", "prune", "-f", "--filter"];
    assert_eq!(tierce.ok([&prune[..], &["until=1h"]].concat()), "");
    let said = tierce.ok([&prune[..], &["label!=keep=yes"]].concat());
    assert_eq!(said, "Deleted Networks:\ntwo\n");
    assert_eq!(tierce.run(["network", "rm", "two"]).code, 1);
    assert_eq!(tierce.run(["network", "rm", "-f", "two", "one"]).code, 0);
    assert_eq!(tierce.ok(["network", "ls", "-q", "--filter", "type=custom"]), "");
}

#[test]
fn one_takes_part_in_some_streams_alone() {
    let tierce = tierce();
    for (streams, out, err) in [
        (&["-a", "stdout"][..], "out\n", ""),
        (&["-a", "stderr"], "", "err\n"),
        (&["-a", "stdout", "-a", "stderr"], "out\n", "err\n"),
    ] {
        let run = [&["run", "--rm"], streams, &["busybox", "sh", "-c", "echo out; echo err >&2"]];
        let output = tierce.run(run.concat());
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), (out, err), "{streams:?}");
    }
    assert_ne!(tierce.run(["run", "-d", "-a", "stdout", "busybox", "true"]).code, 0);
}

#[test]
fn what_the_store_takes_is_summed_up() {
    let tierce = tierce();
    let script = "head -c 12345 /dev/zero > /file";
    tierce.ok(["run", "--name", "over", "-v", "kept:/data", "busybox", "sh", "-c", script]);
    let lines = tierce.ok(["system", "df", "--format", "{{.Type}}|{{.TotalCount}}|{{.Active}}"]);
    assert_eq!(lines, "Images|1|1\nContainers|1|0\nLocal Volumes|1|1\n");
    let table = tierce.ok(["system", "df"]);
    assert!(table.starts_with("TYPE            TOTAL     ACTIVE    SIZE"), "{table}");
    assert!(table.contains("12.3kB (100%)"), "{table}");
    let whole = tierce.ok(["system", "df", "-v"]);
    for expected in [
        "Images space usage:\n\nREPOSITORY   TAG       IMAGE ID       CREATED",
        "Containers space usage:\n\nCONTAINER ID   IMAGE     COMMAND",
        "Local Volumes space usage:\n\nVOLUME NAME   LINKS     SIZE\nkept          1         0B\n",
    ] {
        assert!(whole.contains(expected), "{expected}: {whole}");
    }
    tierce.ok(["rm", "over"]);
}

#[test]
fn what_this_is_and_has_is_told_in_dockers_words() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    let version = env!("CARGO_PKG_VERSION");
    let format = "{{.Client.Version}} {{.Server.Os}}";
    assert_eq!(tierce.ok(["version", "--format", format]), format!("{version} linux\n"));
    assert!(tierce.ok(["version"]).contains(version));
    for (format, expected) in [
        ("{{.Server.Version}}", version),
        ("{{.Client.APIVersion}} {{.Server.MinAPIVersion}}", "1.51 1.24"),
        ("{{.Server.Experimental}} {{.Server.Platform.Name}}", "false Tierce"),
        ("{{range .Server.Components}}{{.Name}}{{end}}", "Engine"),
    ] {
        assert_eq!(tierce.ok(["version", "-f", format]).trim(), expected, "{format}");
    }
    assert!(!tierce.ok(["version", "-f", "{{.Server.KernelVersion}}"]).trim().is_empty());
    busybox(&tierce);
    tierce.ok(["create", "--name", "one", "busybox", "true"]);
    let format = "{{.Containers}} {{.ContainersRunning}} {{.ContainersStopped}} {{.Images}}";
    assert_eq!(tierce.ok(["info", "-f", format]), "1 0 1 1\n");
    let root = tierce.root().display().to_string();
    assert_eq!(tierce.ok(["system", "info", "-f", "{{.DockerRootDir}}"]).trim(), root);
    assert!(tierce.ok(["info"]).contains("Containers: 1\n"));
    let format = "{{.CgroupDriver}} {{.LoggingDriver}} {{.Swarm.LocalNodeState}} {{.Debug}}";
    assert_eq!(tierce.ok(["info", "-f", format]), "cgroupfs json-file inactive false\n");
    let name = tierce.ok(["info", "-f", "{{.OperatingSystem}} {{.CgroupVersion}}"]);
    assert!(name.trim().len() > 2, "{name}");
}
