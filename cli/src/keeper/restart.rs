//! When a container that has ended is started again.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The policy, in docker's words: `no`, `always`, `unless-stopped`, `on-failure[:N]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// Whenever it was not asked to end.
    Always,
    /// The same, as long as nothing starts containers with the machine.
    UnlessStopped,
    /// When its status is not 0.
    OnFailure {
        /// At most so often; without a limit if there is none.
        times: Option<u32>,
    },
}

impl RestartPolicy {
    /// Whether a container is to be started again that ended with `code` and was started again
    /// `restarts` times.
    pub(crate) fn again(self, code: i32, restarts: u32) -> bool {
        match self {
            RestartPolicy::No => false,
            RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
            RestartPolicy::OnFailure { times } => {
                code != 0 && times.is_none_or(|times| restarts < times)
            }
        }
    }

    /// Its name without the number.
    pub(crate) fn name(self) -> &'static str {
        match self {
            RestartPolicy::No => "no",
            RestartPolicy::Always => "always",
            RestartPolicy::UnlessStopped => "unless-stopped",
            RestartPolicy::OnFailure { .. } => "on-failure",
        }
    }

    /// The most restarts, 0 without a limit.
    pub(crate) fn times(self) -> u32 {
        match self {
            RestartPolicy::OnFailure { times } => times.unwrap_or(0),
            _ => 0,
        }
    }
}

impl FromStr for RestartPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, times) = match text.split_once(':') {
            Some((name, times)) => (name, Some(times)),
            None => (text, None),
        };
        match (name, times) {
            ("no" | "", None) => Ok(Self::No),
            ("always", None) => Ok(Self::Always),
            ("unless-stopped", None) => Ok(Self::UnlessStopped),
            ("on-failure", None) => Ok(Self::OnFailure { times: None }),
            ("on-failure", Some(times)) => match times.parse() {
                Ok(0) => Ok(Self::OnFailure { times: None }),
                Ok(times) => Ok(Self::OnFailure { times: Some(times) }),
                Err(_) => Err(format!("`{times}` is no number of restarts")),
            },
            ("no" | "always" | "unless-stopped", Some(_)) => {
                Err("only `on-failure` takes a number of restarts".into())
            }
            _ => Err("a policy is no, always, unless-stopped or on-failure[:TIMES]".into()),
        }
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self.times() {
            0 => Ok(()),
            times => write!(f, ":{times}"),
        }
    }
}

/// How long to wait before the next start: docker's 100 ms, twice as long each time, at most a
/// minute, and from the beginning after a container that ran for ten seconds.
#[derive(Debug, Default)]
pub(crate) struct BackOff(Option<Duration>);

impl BackOff {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(60);
    const RAN_WELL: Duration = Duration::from_secs(10);

    /// The wait after a container that ran for so long.
    pub(crate) fn after(&mut self, ran: Duration) -> Duration {
        let wait = match self.0 {
            Some(last) if ran < Self::RAN_WELL => (last * 2).min(Self::LONGEST),
            _ => Self::FIRST,
        };
        self.0 = Some(wait);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_and_written() {
        for text in ["no", "always", "unless-stopped", "on-failure", "on-failure:3"] {
            assert_eq!(text.parse::<RestartPolicy>().unwrap().to_string(), text);
        }
        for text in ["sometimes", "always:3", "on-failure:x", "on-failure:-1"] {
            assert!(text.parse::<RestartPolicy>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_failure_is_tried_again_so_often() {
        let policy: RestartPolicy = "on-failure:2".parse().unwrap();
        assert!(policy.again(1, 1));
        assert!(!policy.again(1, 2));
        assert!(!policy.again(0, 0));
        assert!(RestartPolicy::Always.again(0, 1000));
        assert!(!RestartPolicy::No.again(1, 0));
    }

    #[test]
    fn waits_double_up_to_a_minute() {
        let mut back_off = BackOff::default();
        let short = Duration::from_secs(1);
        let waits: Vec<u128> = (0..12).map(|_| back_off.after(short).as_millis()).collect();
        assert_eq!(waits[..3], [100, 200, 400]);
        assert_eq!(waits[11], 60_000);
        assert_eq!(back_off.after(Duration::from_secs(11)).as_millis(), 100);
    }
}
