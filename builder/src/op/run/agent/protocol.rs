//! The messages of the ssh agent protocol (draft-ietf-sshm-ssh-agent), as far as a go-between has
//! to know them.

/// The largest message, as for OpenSSH.
pub(super) const MAX: usize = 256 << 10;

/// "Failure", with its length before it.
pub(super) const REFUSAL: [u8; 5] = [0, 0, 0, 1, 5];

/// `SSH_AGENTC_REQUEST_IDENTITIES`: which keys there are.
const LIST: u8 = 11;
/// `SSH_AGENTC_SIGN_REQUEST`: a signature by one of them.
const SIGN: u8 = 13;

/// The length of a message from the four bytes before it, if it may be so long.
pub(super) fn length(head: [u8; 4]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(head)).ok().filter(|length| (1..=MAX).contains(length))
}

/// Whether a build may ask this: what changes nothing about the agent.
pub(super) fn is_allowed(message: &[u8]) -> bool {
    matches!(message.first(), Some(&(LIST | SIGN)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_neither_nothing_nor_huge() {
        let cases = [([0, 0, 0, 0], None), ([0, 0, 0, 1], Some(1)), ([0, 4, 0, 0], Some(MAX))];
        for (head, expected) in cases.into_iter().chain([([0, 4, 0, 1], None), ([255; 4], None)]) {
            assert_eq!(length(head), expected, "{head:?}");
        }
    }

    #[test]
    fn keys_are_listed_and_used_and_never_changed() {
        let allowed: Vec<u8> = (0..=255).filter(|kind| is_allowed(&[*kind, 0])).collect();
        assert_eq!(allowed, [LIST, SIGN]);
        assert!(!is_allowed(&[]));
    }
}
