//! How to tell whether a container is well: `--health-cmd`, …

use std::time::Duration;

use oci::Healthcheck;

use crate::ui::human;

// What the command line says of it.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct HealthOptions {
    /// A shell line that succeeds as long as the container is well
    #[arg(long, value_name = "LINE")]
    health_cmd: Option<String>,
    /// Between two checks
    #[arg(long, value_name = "TIME", value_parser = duration)]
    health_interval: Option<Duration>,
    /// How long a check may take
    #[arg(long, value_name = "TIME", value_parser = duration)]
    health_timeout: Option<Duration>,
    /// How many failures in a row it takes
    #[arg(long, value_name = "TIMES")]
    health_retries: Option<u32>,
    /// How long failures do not count at the beginning
    #[arg(long, value_name = "TIME", value_parser = duration)]
    health_start_period: Option<Duration>,
    /// Between two checks of that time
    #[arg(long, value_name = "TIME", value_parser = duration)]
    health_start_interval: Option<Duration>,
    /// Check nothing, whatever the image says
    #[arg(long, conflicts_with = "health_cmd")]
    no_healthcheck: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    human::length(text).ok_or_else(|| format!("`{text}` is no length of time, as 1m30s is"))
}

impl HealthOptions {
    /// The image's check with what the command line changes.
    pub(crate) fn change(&self, image: Option<&Healthcheck>) -> Option<Healthcheck> {
        if self.no_healthcheck {
            return Some(Healthcheck { test: vec!["NONE".into()], ..Healthcheck::default() });
        }
        let mut check = image.cloned().unwrap_or_default();
        if let Some(line) = &self.health_cmd {
            check.test = vec!["CMD-SHELL".into(), line.clone()];
        }
        let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        for (time, field) in [
            (self.health_interval, &mut check.interval),
            (self.health_timeout, &mut check.timeout),
            (self.health_start_period, &mut check.start_period),
            (self.health_start_interval, &mut check.start_interval),
        ] {
            *field = time.map_or(*field, nanoseconds);
        }
        check.retries = self.health_retries.map_or(check.retries, i64::from);
        (image.is_some() || check != Healthcheck::default()).then_some(check)
    }
}
