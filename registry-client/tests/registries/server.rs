//! A scripted registry: it answers as a test says, and remembers what it was asked.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use oci::{Descriptor, Digest, MediaType, Reference};
use registry_client::auth::{Credential, OneCredential, Secret};
use registry_client::{Client, Config, Retry, Timeouts};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// `GET /v2/x`
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(crate) fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path == path
    }

    /// Where the wanted range begins.
    pub(crate) fn range_start(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    ending: Ending,
}

#[derive(Debug, Clone, Copy)]
enum Ending {
    Whole,
    /// The connection is closed after so many bytes of the body.
    CutAfter(usize),
    /// The body is sent again and again.
    Never,
}

impl Reply {
    pub(crate) fn new(status: u16) -> Reply {
        Reply { status, headers: Vec::new(), body: Vec::new(), ending: Ending::Whole }
    }

    pub(crate) fn header(mut self, name: &str, value: impl std::fmt::Display) -> Reply {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Reply {
        self.body = body.into();
        self
    }

    pub(crate) fn cut_after(mut self, bytes: usize) -> Reply {
        self.ending = Ending::CutAfter(bytes);
        self
    }

    pub(crate) fn without_end(mut self) -> Reply {
        self.ending = Ending::Never;
        self
    }

    /// A 401 with a challenge.
    pub(crate) fn challenge(challenge: &str) -> Reply {
        Reply::new(401).header("WWW-Authenticate", challenge)
    }

    fn send(&self, asked: &Asked, stream: &mut TcpStream) -> io::Result<bool> {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let says_length =
            |(name, _): &(String, String)| name.eq_ignore_ascii_case("content-length");
        let endless = matches!(self.ending, Ending::Never);
        if endless {
            head += "Connection: close\r\n";
        } else if !self.headers.iter().any(says_length) {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        if asked.method == "HEAD" {
            return Ok(true);
        }
        match self.ending {
            Ending::Whole => stream.write_all(&self.body).map(|()| true),
            Ending::CutAfter(bytes) => stream.write_all(&self.body[..bytes]).map(|()| false),
            Ending::Never => loop {
                stream.write_all(&self.body)?;
            },
        }
    }
}

type Script = dyn Fn(&Asked) -> Reply + Send + Sync;
type Patience = dyn Fn(&Asked) -> Option<usize> + Send + Sync;

/// A scripted registry on loopback.
pub(crate) struct Server {
    /// Host and port.
    pub(crate) address: String,
    log: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Answers by a script.
    pub(crate) fn start(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Server {
        Server::impatient(|_| None, script)
    }

    /// As [`start`](Server::start); but where `patience` says a number, so many bytes of the
    /// request's body are read, and then the connection is closed without an answer.
    pub(crate) fn impatient(
        patience: impl Fn(&Asked) -> Option<usize> + Send + Sync + 'static,
        script: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
        let address = listener.local_addr().expect("an address").to_string();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (script, patience): (Arc<Script>, Arc<Patience>) =
            (Arc::new(script), Arc::new(patience));
        let server = Server { address, log: Arc::clone(&log) };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, patience) = (Arc::clone(&script), Arc::clone(&patience));
                let log = Arc::clone(&log);
                // A client that goes away ends its connection's thread.
                thread::spawn(move || serve(stream, &*script, &*patience, &log));
            }
        });
        server
    }

    /// All requests but looks at whether and how a registry answers.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.all_asked().into_iter().filter(|asked| !asked.is("GET", "/v2/")).collect()
    }

    /// All requests.
    pub(crate) fn all_asked(&self) -> Vec<Asked> {
        self.log.lock().expect("the log").clone()
    }

    /// The lines of [`asked`](Server::asked).
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }

    /// A name at this server.
    pub(crate) fn name(&self, rest: &str) -> Reference {
        format!("{}/{rest}", self.address).parse().expect("a name")
    }

    /// A client who is nobody.
    pub(crate) fn client(&self) -> Client {
        Client::new(config())
    }

    /// A client who is somebody here.
    pub(crate) fn client_as(&self, credential: Credential) -> Client {
        let credentials = OneCredential { registry: self.address.clone(), credential };
        Client::new(Config { credentials: Arc::new(credentials), ..config() })
    }
}

/// A configuration whose waits are short.
pub(crate) fn config() -> Config {
    Config {
        retry: Retry {
            times: 4,
            first_delay: Duration::from_millis(1),
            max_delay: Duration::from_millis(20),
            max_asked_delay: Duration::from_secs(5),
        },
        timeouts: Timeouts { connect: Duration::from_secs(2), idle: Duration::from_secs(1) },
        ..Config::default()
    }
}

/// The user `u` with the password `p`.
pub(crate) fn password() -> Credential {
    Credential::Password { username: "u".into(), password: Secret::new("p") }
}

/// The `Authorization` of [`password`].
pub(crate) const BASIC: &str = "Basic dTpw";

/// Describes bytes as a layer.
pub(crate) fn layer(bytes: &[u8]) -> Descriptor {
    Descriptor::new(MediaType::OCI_LAYER, Digest::sha256(bytes), bytes.len() as u64)
}

/// Bytes that are not the same everywhere.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn serve(stream: TcpStream, script: &Script, patience: &Patience, log: &Mutex<Vec<Asked>>) {
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    while let Ok(Some((mut asked, length))) = read_head(&mut reader) {
        let limit = patience(&asked);
        let take = limit.unwrap_or(length).min(length);
        asked.body = vec![0; take];
        if reader.read_exact(&mut asked.body).is_err() {
            return;
        }
        log.lock().expect("the log").push(asked.clone());
        if limit.is_some() {
            return;
        }
        if !matches!(script(&asked).send(&asked, &mut writer), Ok(true)) {
            return;
        }
    }
}

fn read_head(reader: &mut BufReader<TcpStream>) -> io::Result<Option<(Asked, usize)>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let mut words = lines.first().map(String::as_str).unwrap_or_default().split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let path = words.next().unwrap_or_default().to_owned();
    let header = |line: &String| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.trim().to_owned()))
    };
    let headers: Vec<_> = lines[1..].iter().filter_map(header).collect();
    let asked = Asked { method, path, headers, body: Vec::new() };
    let length = asked.header("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    Ok(Some((asked, length)))
}
