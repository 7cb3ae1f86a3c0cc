//! A socket to parts of the kernel: the one that knows interfaces, addresses and routes
//! (rtnetlink(7)), and the packet filter.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};

/// Something to be asked for.
pub(super) trait Request {
    /// `RTM_*`.
    fn kind(&self) -> u16;
    /// `NLM_F_*` beside the ones that every request has.
    fn flags(&self) -> u16;
    /// What follows the header.
    fn body(&self) -> Vec<u8>;
}

/// An open socket, of the network namespace that the thread was in.
pub(super) struct Netlink(OwnedFd);

/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;

impl Netlink {
    /// To the part that knows interfaces, addresses and routes.
    pub(super) fn open() -> Result<Self, Errno> {
        // No protocol is the first one, which is this one.
        Self::open_to(None)
    }

    /// To the packet filter.
    pub(super) fn open_filter() -> Result<Self, Errno> {
        Self::open_to(Some(rustix::net::netlink::NETFILTER))
    }

    fn open_to(protocol: Option<Protocol>) -> Result<Self, Errno> {
        let flags = SocketFlags::CLOEXEC;
        let kind = SocketType::RAW;
        let socket = rustix::net::socket_with(AddressFamily::NETLINK, kind, flags, protocol)?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self(socket))
    }

    /// Asks, and waits for the kernel's answer, which it has at once.
    pub(super) fn ask(&self, request: &dyn Request) -> Result<(), Errno> {
        rustix::net::send(&self.0, &encoded(request, libc::NLM_F_ACK)?, SendFlags::empty())?;
        self.answer()
    }

    /// Asks for all of a batch, whose first and last request are its edges and have no answer.
    pub(super) fn ask_batch(&self, requests: &[&dyn Request]) -> Result<(), Errno> {
        let mut message = Vec::new();
        for (number, request) in requests.iter().enumerate() {
            let is_edge = number == 0 || number + 1 == requests.len();
            let flags = if is_edge { 0 } else { libc::NLM_F_ACK };
            message.extend(encoded(*request, flags)?);
        }
        rustix::net::send(&self.0, &message, SendFlags::empty())?;
        // One that fails is answered; those beside it may then have no answer.
        (2..requests.len()).try_for_each(|_| self.answer())
    }

    fn answer(&self) -> Result<(), Errno> {
        let mut answer = [0; 4096];
        let (read, _) = rustix::io::retry_on_intr(|| {
            rustix::net::recv(&self.0, &mut answer, RecvFlags::empty())
        })?;
        outcome(answer.get(..read).unwrap_or_default())
    }
}

/// A request with its header (netlink(7)).
fn encoded(request: &dyn Request, flags: i32) -> Result<Vec<u8>, Errno> {
    let body = request.body();
    let length = u32::try_from(HEADER + body.len()).map_err(|_| Errno::MSGSIZE)?;
    let flags = libc::NLM_F_REQUEST as u16 | flags as u16 | request.flags();
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(length.to_ne_bytes());
    message.extend(request.kind().to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    // Number of the request, and the kernel's choice of who asks.
    message.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    message.extend(body);
    message.resize(message.len().next_multiple_of(4), 0);
    Ok(message)
}

/// What an answer says: an error's number, negative, or zero.
fn outcome(answer: &[u8]) -> Result<(), Errno> {
    let kind = answer.get(4..6).and_then(|bytes| <[u8; 2]>::try_from(bytes).ok());
    let number = answer.get(HEADER..HEADER + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    match (kind.map(u16::from_ne_bytes), number.map(i32::from_ne_bytes)) {
        (Some(kind), Some(0)) if i32::from(kind) == libc::NLMSG_ERROR => Ok(()),
        (Some(kind), Some(errno)) if i32::from(kind) == libc::NLMSG_ERROR => {
            Err(Errno::from_raw_os_error(-errno))
        }
        _ => Err(Errno::PROTO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_success_or_an_error_or_none() {
        let answer = |kind: i32, number: i32| {
            let mut bytes = vec![0; HEADER];
            bytes[4..6].copy_from_slice(&(kind as u16).to_ne_bytes());
            bytes.extend(number.to_ne_bytes());
            bytes
        };
        assert_eq!(outcome(&answer(libc::NLMSG_ERROR, 0)), Ok(()));
        assert_eq!(outcome(&answer(libc::NLMSG_ERROR, -libc::EEXIST)), Err(Errno::EXIST));
        assert_eq!(outcome(&answer(libc::NLMSG_DONE, 0)), Err(Errno::PROTO));
        assert_eq!(outcome(&[]), Err(Errno::PROTO));
    }
}
