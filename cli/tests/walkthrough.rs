//! The walk-through of a container course, typed as it is written there, with `tierce` for `docker`.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::termios::tcgetattr;
use testutil::{Session, Tierce, busybox, debian, terminal, wait_until};

fn web_page(place: &str) -> String {
    let mut page = String::new();
    wait_until("a page comes", || {
        let Ok(mut stream) = TcpStream::connect(place) else { return false };
        let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
        page.clear();
        stream.read_to_string(&mut page).is_ok() && page.contains("200 OK")
    });
    page
}

#[test]
fn a_course_is_walked_through() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    debian(&tierce);
    busybox(&tierce);
    let before = tcgetattr(&terminal().1).unwrap();

    // A shell in a container; a package is installed by hand.
    let run = ["container", "run", "-ti", "--name", "mine", "-h", "course", "debian", "bash"];
    let mut shell = Session::start(&tierce, &run);
    shell.until("root@course:/#");
    shell.type_keys(b"ls /usr/bin/figlet\r");
    shell.until("No such file");
    shell.type_keys(b"apt-get update -q && apt-get install -y -q --no-install-recommends figlet\r");
    shell.until("Setting up figlet");
    shell.until("root@course:/#");
    shell.type_keys(b"figlet hi | head -1; echo status $?; exit\r");
    shell.until("status 0");
    assert_eq!(shell.end(&before), 0);

    // It has ended, is still there, and what it changed is known.
    let list = tierce.ok(["container", "ls", "-a"]);
    assert!(list.contains("mine") && list.contains("Exited (0)"), "{list}");
    assert!(!tierce.ok(["container", "ls"]).contains("mine"));
    let diff = tierce.ok(["container", "diff", "mine"]);
    assert!(diff.lines().any(|line| line == "A /usr/bin/figlet-figlet"), "{diff}");
    assert!(diff.lines().any(|line| line == "C /usr/bin"), "{diff}");

    // It becomes an image, which is tagged and run.
    let id = tierce.ok(["container", "commit", "mine"]);
    let id = id.trim().strip_prefix("sha256:").unwrap();
    tierce.ok(["image", "tag", &id[..12], "figlet"]);
    let images = tierce.ok(["image", "ls"]);
    assert!(images.contains("figlet") && images.contains(&id[..12]), "{images}");
    let said = tierce.ok(["container", "run", "--rm", "figlet", "figlet", "-f", "term", "hello"]);
    assert_eq!(said, "hello\n");

    // The first one again: started, entered, attached to, stopped.
    tierce.ok(["container", "start", "mine"]);
    let mut inside = Session::start(&tierce, &["container", "exec", "-it", "mine", "bash"]);
    inside.until("root@course:/#");
    inside.type_keys(b"figlet -f term again; exit\r");
    inside.until("again\r\n");
    assert_eq!(inside.end(&before), 0);
    let mut attached = Session::start(&tierce, &["container", "attach", "mine"]);
    attached.type_keys(b"echo $((40 + 2))\r");
    attached.until("42\r\n");
    attached.type_keys(b"\x10\x11");
    assert_eq!(attached.end(&before), 0);
    assert!(tierce.ok(["container", "ls"]).contains("mine"));
    tierce.ok(["container", "stop", "-t", "1", "mine"]);
    tierce.ok(["container", "rm", "mine"]);

    // A web server in the background, whose page is fetched from the machine.
    let serve = "mkdir /www && echo welcome > /www/index.html && exec httpd -f -p 5000 -h /www";
    let publish = ["container", "run", "-d", "-p", "127.0.0.1::5000", "--name", "web"];
    tierce.ok([&publish[..], &["busybox", "sh", "-c", serve]].concat());
    let place = tierce.ok(["container", "port", "web", "5000"]);
    assert!(web_page(place.trim()).ends_with("welcome\n"));
    tierce.ok(["container", "rm", "-f", "web"]);

    // Two containers on a network of their own find each other by name.
    tierce.ok(["network", "create", "skynet"]);
    let on = ["container", "run", "-d", "--name", "es", "--net", "skynet", "busybox"];
    tierce.ok([&on[..], &["sh", "-c", serve]].concat());
    let fetch = "until wget -q -O - http://es:5000/ 2>/dev/null; do sleep 0.1; done";
    let run = ["container", "run", "--rm", "--net", "skynet", "busybox", "sh", "-c", fetch];
    assert_eq!(tierce.ok(run), "welcome\n");
    tierce.ok(["container", "rm", "-f", "es"]);
    tierce.ok(["network", "rm", "skynet"]);

    // Files of the machine in a container, and what outlives one.
    tierce.ok(["volume", "create", "notes"]);
    let write = ["container", "run", "--rm", "-v", "notes:/n", "busybox"];
    tierce.ok([&write[..], &["sh", "-c", "echo kept > /n/file"]].concat());
    assert_eq!(tierce.ok([&write[..], &["cat", "/n/file"]].concat()), "kept\n");
    tierce.ok(["volume", "rm", "notes"]);
}
