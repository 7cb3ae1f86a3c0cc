//! What a container's keeper and those who ask something of it say to each other: frames on a
//! socket, of JSON or of plain bytes.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::containers::limits::LimitsConfig;

/// The most that a frame holds, in bytes.
const MAX_FRAME: usize = 1 << 20;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A [`Request`] or a [`Reply`].
    Message,
    /// What the container wrote to its standard output, or to its terminal.
    Stdout,
    /// What it wrote to its standard error.
    Stderr,
    /// What it is to read; nothing at all is the end of that.
    Stdin,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Message, Kind::Stdout, Kind::Stderr, Kind::Stdin];
}

/// What is asked of a keeper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Request {
    /// To start the container; the first thing that a keeper hears.
    Start {
        /// How the asker takes part.
        attach: Option<Attach>,
    },
    /// To take part in its input and output.
    Attach(Attach),
    /// To send it a signal.
    Signal(i32),
    /// To end it, and not to start it again.
    Stop {
        /// The signal that asks it to end.
        signal: i32,
        /// How long it may take until it is killed, in seconds; for ever if there is no limit.
        seconds: Option<u64>,
    },
    /// To tell when it has ended for good.
    Wait,
    /// To start one more process in it. The streams of one that is neither detached nor has a
    /// terminal follow; our side of a terminal comes back after the answer.
    Exec(Exec),
    /// To tell its terminal that ours has another size.
    Resize(Size),
    /// To hold all of its processes still.
    Pause,
    /// To let them go on.
    Unpause,
    /// To hold them still as long as the asker stays: he may be killed, and they go on.
    Hold,
    /// To name its processes.
    Processes,
    /// To say what it uses.
    Usage,
    /// To have it keep limits besides those that it keeps.
    Limit(LimitsConfig),
}

/// How somebody takes part in a container's input and output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attach {
    /// Whether what he sends is what the container reads.
    pub(crate) input: bool,
    /// Whether the end of that is the end of the container's input.
    pub(crate) ends_input: bool,
    /// The size of his terminal.
    pub(crate) size: Option<Size>,
}

/// One more process for a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exec {
    /// Program and arguments.
    pub(crate) args: Vec<String>,
    /// `NAME=VALUE`, beside what the container's command has.
    pub(crate) env: Vec<String>,
    /// As whom; as the container's command if that is not said.
    pub(crate) user: Option<String>,
    /// Where; where the container's command starts if that is not said.
    pub(crate) working_dir: Option<String>,
    /// Whether it may do what a privileged container may.
    pub(crate) privileged: bool,
    /// Whether it has a terminal.
    pub(crate) terminal: bool,
    /// The size of that.
    pub(crate) size: Option<Size>,
    /// Whether nobody waits for it.
    pub(crate) detach: bool,
}

/// The size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Size {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
}

/// What a keeper answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reply {
    /// It is done.
    Done,
    /// It cannot be done.
    Failed {
        /// Why.
        message: String,
        /// What might help.
        hint: Option<String>,
        /// The exit status of who asked.
        code: u8,
    },
    /// The container has ended with this status.
    Ended(i32),
    /// The ids of its processes.
    Processes(Vec<i32>),
    /// What it uses.
    Usage(Usage),
}

/// What the processes of a container use, and have used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Time on processors, in nanoseconds.
    pub(crate) processor: u64,
    /// Memory that is theirs, and their shares of what they share, in bytes.
    pub(crate) memory: u64,
    /// How many tasks there are: processes and their threads.
    pub(crate) tasks: u64,
    /// Bytes that came over its own network.
    pub(crate) received: u64,
    /// Bytes that went there.
    pub(crate) sent: u64,
    /// Bytes read from disks.
    pub(crate) read: u64,
    /// Bytes written to disks.
    pub(crate) written: u64,
}

/// Sends a frame.
pub(crate) fn send(mut to: impl Write, kind: Kind, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    let mut frame = Vec::with_capacity(payload.len() + 5);
    frame.push(kind as u8);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(payload);
    to.write_all(&frame)
}

/// The next frame; `None` at the end.
pub(crate) fn receive(mut from: impl Read) -> io::Result<Option<(Kind, Vec<u8>)>> {
    let mut head = [0; 5];
    match from.read_exact(&mut head) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    let [kind, length @ ..] = head;
    let length = u32::from_be_bytes(length) as usize;
    let kind = Kind::ALL.into_iter().find(|known| *known as u8 == kind);
    let Some(kind) = kind.filter(|_| length <= MAX_FRAME) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "this is no frame of a keeper's"));
    };
    let mut payload = vec![0; length];
    from.read_exact(&mut payload)?;
    Ok(Some((kind, payload)))
}

/// Sends a message.
pub(crate) fn say(to: impl Write, message: &impl Serialize) -> io::Result<()> {
    send(to, Kind::Message, &serde_json::to_vec(message)?)
}

/// Reads a message.
pub(crate) fn understand<T: DeserializeOwned>(payload: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(payload)?)
}

/// The next frame, which must be a message; `None` at the end.
pub(crate) fn hear<T: DeserializeOwned>(from: impl Read) -> io::Result<Option<T>> {
    match receive(from)? {
        None => Ok(None),
        Some((Kind::Message, payload)) => understand(&payload).map(Some),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "bytes in place of a message")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn frames_arrive_as_they_were_sent() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let request = Request::Stop { signal: 15, seconds: Some(3) };
        say(&mut one, &request).unwrap();
        send(&mut one, Kind::Stdin, b"text").unwrap();
        send(&mut one, Kind::Stdin, b"").unwrap();
        drop(one);
        assert_eq!(hear::<Request>(&mut other).unwrap(), Some(request));
        assert_eq!(receive(&mut other).unwrap(), Some((Kind::Stdin, b"text".to_vec())));
        assert_eq!(receive(&mut other).unwrap(), Some((Kind::Stdin, Vec::new())));
        assert_eq!(receive(&mut other).unwrap(), None);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for bytes in [&b"\x09\0\0\0\0"[..], b"\0\xff\0\0\0", b"\0\0\0\0\x05abc"] {
            assert!(receive(bytes).is_err(), "{bytes:?}");
        }
        assert!(hear::<Request>(&b"\x03\0\0\0\x00"[..]).is_err());
        assert!(hear::<Request>(&b"\x00\0\0\0\x02{}"[..]).is_err());
    }
}
