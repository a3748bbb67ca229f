//! Options of a table that speak of its watermark: they are not the connector's.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::pipeline::{FuturePolicy, Tuning, WatermarkRules};
use crate::sql::parse::nanoseconds;

const PREFIX: &str = "watermark.";
const KNOWN: &[&str] = &[
    "watermark.alignment.max-drift",
    "watermark.future-policy",
    "watermark.idle-timeout",
    "watermark.max-future",
    "watermark.max-jump",
];

/// Takes the options out that say how queries over the table are run.
///
/// Failure: a value that is no duration.
pub(super) fn tuning(options: &mut BTreeMap<String, String>) -> Result<Tuning> {
    let mut take = |key: &str| match options.remove(key) {
        None => Ok(None),
        Some(value) => match nanoseconds(&value) {
            Some(nanoseconds) if nanoseconds >= 0 => Ok(Some(nanoseconds / 1_000)),
            _ => Err(Error::user(format!("option '{key}' must be a duration such as 5s, not '{value}'"))),
        },
    };
    let tuning = Tuning { state_ttl: take("state.ttl")?, linger: take("linger")? };
    match tuning.state_ttl {
        Some(0) => Err(Error::user("option 'state.ttl' must be longer than nothing")),
        _ => Ok(tuning),
    }
}

/// Takes the options out that begin with `watermark.`, or with `scan.watermark.` as elsewhere.
///
/// Failure: one that is not known, or that cannot be read.
pub(super) fn take(options: &mut BTreeMap<String, String>) -> Result<WatermarkRules> {
    let mut rules = WatermarkRules::default();
    let is_ours = |key: &str| key.strip_prefix("scan.").unwrap_or(key).starts_with(PREFIX);
    let ours: Vec<String> = options.keys().filter(|key| is_ours(key)).cloned().collect();
    for key in ours {
        let value = options.remove(&key).unwrap_or_default();
        let duration = || match nanoseconds(&value) {
            Some(nanoseconds) if nanoseconds > 0 => Ok(nanoseconds),
            _ => Err(Error::user(format!("option '{key}' must be a duration such as 5s, not '{value}'"))),
        };
        match key.strip_prefix("scan.").unwrap_or(&key) {
            "watermark.idle-timeout" => rules.idle_timeout = Some((duration()? / 1_000).max(1)),
            "watermark.alignment.max-drift" => rules.max_drift = Some(duration()?),
            "watermark.max-future" => rules.max_future = Some(duration()?),
            "watermark.max-jump" => rules.max_jump = Some(duration()?),
            "watermark.future-policy" => {
                rules.future = match value.to_lowercase().as_str() {
                    "keep" => FuturePolicy::Keep,
                    "skip" => FuturePolicy::Skip,
                    "aside" => FuturePolicy::Aside,
                    _ => {
                        let message = format!("option '{key}' must be keep, skip or aside, not '{value}'");
                        return Err(Error::user(message));
                    }
                };
            }
            _ => {
                let message = format!("unknown option: '{key}'; those about watermarks are {}", KNOWN.join(", "));
                return Err(Error::user(message));
            }
        }
    }
    if rules.future != FuturePolicy::Keep && rules.max_future.is_none() && rules.max_jump.is_none() {
        let message = "option 'watermark.future-policy' needs 'watermark.max-future' or 'watermark.max-jump'";
        return Err(Error::user(message));
    }
    Ok(rules)
}
