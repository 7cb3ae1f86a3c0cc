//! As much of HTTP as reading from a registry on loopback takes, and no more of the processor.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::step::Result;

/// What kinds of manifest are taken.
const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.v2+json";
/// The most that a document may have.
const DOCUMENT: u64 = 16 << 20;
/// How much of a body is read at a time, in bytes: what clients of registries take.
const BUFFER: usize = 64 << 10;
/// How long a registry may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// One connection that is used again and again.
pub(crate) struct Connection {
    address: String,
    stream: BufReader<TcpStream>,
}

/// What of the head of an answer matters.
#[derive(Default)]
struct Head {
    status: String,
    length: Option<u64>,
    location: Option<String>,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(address: &str) -> Result<Self> {
        let failed = |e| format!("cannot connect to {address}: {e}");
        let stream = TcpStream::connect(address).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_read_timeout(Some(SILENCE)).map_err(failed)?;
        Ok(Connection { address: address.to_owned(), stream: BufReader::new(stream) })
    }

    /// Asks for a path and answers with the length of the body, which is to be read next.
    fn ask(&mut self, path: &str) -> Result<u64> {
        let failed = |e| format!("cannot get {path}: {e}");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: {ACCEPT}\r\n\r\n", self.address);
        self.stream.get_mut().write_all(request.as_bytes()).map_err(failed)?;
        let head = self.head(path)?;
        if head.status != "200" {
            return Err(format!("cannot get {path}: the registry said {}", head.status));
        }
        head.length.ok_or_else(|| format!("cannot get {path}: no length is given"))
    }

    /// Sends something, and answers with the place that is given for what comes next: the path of
    /// it alone.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        kind: &str,
        parts: &[&[u8]],
    ) -> Result<Option<String>> {
        let failed = |e| format!("cannot {method} {path}: {e}");
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\n\
             Content-Length: {length}\r\n\r\n",
            self.address
        );
        let stream = self.stream.get_mut();
        stream.write_all(request.as_bytes()).map_err(failed)?;
        parts.iter().try_for_each(|part| stream.write_all(part)).map_err(failed)?;
        let head = self.head(path)?;
        let length = head.length.unwrap_or_default();
        std::io::copy(&mut (&mut self.stream).take(length), &mut std::io::sink())
            .map_err(failed)?;
        if !head.status.starts_with('2') {
            return Err(format!("cannot {method} {path}: the registry said {}", head.status));
        }
        Ok(head.location.map(|place| match place.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]).to_owned(),
            None => place,
        }))
    }

    /// Reads the head of an answer.
    fn head(&mut self, path: &str) -> Result<Head> {
        let failed = |e| format!("cannot read the answer about {path}: {e}");
        let mut head = Head::default();
        let mut status = String::new();
        self.stream.read_line(&mut status).map_err(failed)?;
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).map_err(failed)? == 0 {
                return Err(format!("cannot get {path}: the connection ended in the headers"));
            }
            if line.trim().is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => head.length = value.trim().parse().ok(),
                "location" => head.location = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        head.status = status.split_whitespace().nth(1).unwrap_or_default().to_owned();
        Ok(head)
    }

    /// A document, whole.
    pub(crate) fn document(&mut self, path: &str) -> Result<Vec<u8>> {
        let length = self.ask(path)?;
        if length > DOCUMENT {
            return Err(format!("{path} has {length} bytes: too many for a document"));
        }
        let mut body = Vec::new();
        (&mut self.stream)
            .take(length)
            .read_to_end(&mut body)
            .map_err(|e| format!("cannot read {path}: {e}"))?;
        Ok(body)
    }

    /// Passes a body's bytes on; answers with their number.
    pub(crate) fn body(&mut self, path: &str, mut each: impl FnMut(&[u8])) -> Result<u64> {
        let length = self.ask(path)?;
        let mut left = length;
        let mut buffer = vec![0; BUFFER];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let n = self
                .stream
                .read(&mut buffer[..most])
                .map_err(|e| format!("cannot read {path}: {e}"))?;
            if n == 0 {
                return Err(format!("{path} ended {left} bytes early"));
            }
            each(&buffer[..n]);
            left -= n as u64;
        }
        Ok(length)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn server(answer: &'static [u8]) -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let request = BufReader::new(stream.try_clone().unwrap());
            assert!(request.lines().any(|line| line.unwrap().is_empty()), "a whole request");
            stream.write_all(answer).unwrap();
        });
        address
    }

    #[test]
    fn a_body_is_passed_on() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        let mut read = Connection::open(&server(answer)).unwrap();
        assert_eq!(read.document("/x").unwrap(), b"hello");
        let mut body = Vec::new();
        let mut passed = Connection::open(&server(answer)).unwrap();
        let length = passed.body("/x", |bytes| body.extend_from_slice(bytes)).unwrap();
        assert_eq!((body.as_slice(), length), (b"hello".as_slice(), 5));
    }

    #[test]
    fn a_body_that_ends_early_and_a_refusal_are_errors() {
        let short = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello";
        let mut read = Connection::open(&server(short)).unwrap();
        assert!(read.body("/x", |_| ()).unwrap_err().contains("early"));
        let refusal = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        let mut read = Connection::open(&server(refusal)).unwrap();
        assert!(read.body("/x", |_| ()).unwrap_err().contains("404"));
    }
}
