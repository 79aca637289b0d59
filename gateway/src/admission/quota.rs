//! What projects may ask for in a second: buckets that fill with time.
//!
//! A call goes through while its buckets hold anything, and what it turns out to have used is taken out
//! afterwards, also where that leaves a debt. So nothing has to be known before a call is read, a call
//! larger than a second's worth is possible once in a while, and over time nobody gets more than its
//! quota. Each gateway grants its share of it.

use crate::failure::Failure;
use parking_lot::Mutex;
use proto::{id::ProjectId, name::Name, reason::Reason};
use raft::registry::quota::Quota;
use std::{collections::HashMap, time::Duration};

/// Seconds' worth of a quota that a bucket holds: what comes in bursts is no offence.
const BURST_SECONDS: f64 = 1.0;
/// No hint to come back is longer: a quota may be raised meanwhile.
const LONGEST_RETRY: Duration = Duration::from_secs(10);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Lookups.
    Lookups,
    /// Rows written or deleted.
    Rows,
    /// Bytes of requests to write and of answers to lookups.
    Bytes,
}

impl Unit {
    const ALL: [Self; 3] = [Self::Lookups, Self::Rows, Self::Bytes];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Lookups => "lookups",
            Self::Rows => "rows",
            Self::Bytes => "bytes",
        }
    }

    const fn of(self, quota: &Quota) -> Option<u64> {
        match self {
            Self::Lookups => quota.lookups,
            Self::Rows => quota.rows,
            Self::Bytes => quota.bytes,
        }
    }
}

/// A project, with what it may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Limited<'a> {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: &'a Name,
    /// What it may ask for in the whole region.
    pub quota: &'a Quota,
}

/// The buckets of all projects that have a quota.
#[derive(Debug, Default)]
pub struct Quotas(Mutex<HashMap<ProjectId, Buckets>>);

#[derive(Debug, Default)]
struct Buckets {
    quota: Quota,
    levels: [Level; Unit::ALL.len()],
}

#[derive(Debug, Default, Clone, Copy)]
struct Level {
    amount: f64,
    at_micros: Option<u64>,
}

impl Quotas {
    /// Whether a project may ask for more of these now, where one of so many gateways is asked.
    pub fn check(
        &self,
        project: Limited<'_>,
        units: &[Unit],
        now_micros: u64,
        gateways: usize,
    ) -> Result<(), Failure> {
        if *project.quota == Quota::default() {
            return Ok(());
        }
        let mut all = self.0.lock();
        let buckets = all.entry(project.id).or_default();
        buckets.go_by(*project.quota);
        for unit in units {
            let Some(limit) = unit.of(project.quota) else {
                continue;
            };
            let share = limit as f64 / gateways.max(1) as f64;
            let level = &mut buckets.levels[*unit as usize];
            level.fill(share, now_micros);
            if level.amount <= 0.0 {
                let wait = Duration::from_secs_f64((1.0 - level.amount) / share);
                return Err(used_up(project.name, *unit, limit, gateways)
                    .retry_after(wait.clamp(Duration::from_millis(10), LONGEST_RETRY)));
            }
        }
        Ok(())
    }

    /// Takes out what a call used.
    pub fn take(&self, project: Limited<'_>, used: &[(Unit, u64)]) {
        if *project.quota == Quota::default() {
            return;
        }
        let mut all = self.0.lock();
        let buckets = all.entry(project.id).or_default();
        for (unit, amount) in used {
            if unit.of(project.quota).is_some() {
                buckets.levels[*unit as usize].amount -= *amount as f64;
            }
        }
    }
}

impl Buckets {
    /// Another quota begins with full buckets: who had none left is helped at once.
    fn go_by(&mut self, quota: Quota) {
        if self.quota != quota {
            *self = Self {
                quota,
                ..Self::default()
            };
        }
    }
}

impl Level {
    fn fill(&mut self, share: f64, now_micros: u64) {
        let most = share * BURST_SECONDS;
        let Some(before) = self.at_micros.replace(now_micros) else {
            self.amount = most;
            return;
        };
        let seconds = now_micros.saturating_sub(before) as f64 / 1e6;
        self.amount = (self.amount + seconds * share).min(most);
    }
}

fn used_up(project: &Name, unit: Unit, limit: u64, gateways: usize) -> Failure {
    let unit = unit.as_str();
    let share = if gateways > 1 {
        format!(" over {gateways} gateways")
    } else {
        String::new()
    };
    let message = format!(
        "project {project} has used up its quota of {limit} {unit} a second{share}; send less, or have it raised by `atoll quota set`"
    );
    Failure::new(Reason::Quota, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota = Quota {
        lookups: Some(100),
        rows: Some(1_000),
        bytes: None,
    };

    fn name() -> Name {
        Name::new("shop").unwrap()
    }

    /// Lookups that go through in so many seconds, where so many are tried.
    fn lookups(
        quotas: &Quotas,
        from_micros: u64,
        seconds: u64,
        tried: u64,
        gateways: usize,
    ) -> u64 {
        let name = name();
        let project = Limited {
            id: ProjectId(1),
            name: &name,
            quota: &QUOTA,
        };
        let mut through = 0;
        for step in 0..tried {
            let now = from_micros + step * seconds * 1_000_000 / tried;
            if quotas
                .check(project, &[Unit::Lookups, Unit::Bytes], now, gateways)
                .is_ok()
            {
                quotas.take(project, &[(Unit::Lookups, 1), (Unit::Bytes, 1 << 40)]);
                through += 1;
            }
        }
        through
    }

    #[test]
    fn over_time_nobody_gets_more_than_its_share() {
        for gateways in [1, 2, 5] {
            let quotas = Quotas::default();
            let share = 100 / gateways as u64;
            let through = lookups(&quotas, 0, 10, 20_000, gateways);
            // What the bucket held at first, and what came in ten seconds.
            assert!(
                (share * 11 - 2..=share * 11 + 2).contains(&through),
                "{through}"
            );
        }
    }

    #[test]
    fn who_stays_below_is_never_refused() {
        assert_eq!(lookups(&Quotas::default(), 0, 10, 990, 1), 990);
    }

    #[test]
    fn a_call_larger_than_the_quota_goes_through_once_and_is_paid_for() {
        let (quotas, name) = (Quotas::default(), name());
        let project = Limited {
            id: ProjectId(1),
            name: &name,
            quota: &QUOTA,
        };
        let check = |now| quotas.check(project, &[Unit::Rows], now, 1);
        check(0).unwrap();
        quotas.take(project, &[(Unit::Rows, 10_000)]);
        let refused = check(1_000_000).unwrap_err();
        assert_eq!(refused.reason, Reason::Quota);
        assert!(refused.message.contains("1000 rows a second"), "{refused}");
        // 1,000 were there, and as many came in the second.
        assert_eq!(refused.retry_after, Some(Duration::from_micros(8_001_000)));
        assert!(check(8_900_000).is_err());
        check(9_001_000).unwrap();
        // Lookups are counted apart.
        assert_eq!(lookups(&quotas, 0, 1, 50, 1), 50);
    }

    #[test]
    fn a_raised_quota_helps_at_once() {
        let (quotas, name) = (Quotas::default(), name());
        let with = |quota| Limited {
            id: ProjectId(1),
            name: &name,
            quota,
        };
        quotas.check(with(&QUOTA), &[Unit::Rows], 0, 1).unwrap();
        quotas.take(with(&QUOTA), &[(Unit::Rows, 1 << 40)]);
        assert!(quotas.check(with(&QUOTA), &[Unit::Rows], 1, 1).is_err());
        let raised = Quota {
            rows: Some(2_000),
            ..QUOTA
        };
        quotas.check(with(&raised), &[Unit::Rows], 2, 1).unwrap();
        let none = Quota::default();
        quotas.check(with(&none), &[Unit::Rows], 3, 1).unwrap();
    }
}
