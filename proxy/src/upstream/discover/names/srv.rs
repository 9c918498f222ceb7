//! What SRV records say of servers (RFC 2782).

use std::collections::BTreeMap;

use crate::upstream::{Host, Seat, ServerSpec};

/// The last tier that is no backup's.
const LAST_TIER: u8 = 9;

/// The largest weight of a server.
const WEIGHT_MAX: u32 = 1000;

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::upstream::discover) struct Service {
    /// The lowest come first.
    pub(in crate::upstream::discover) priority: u16,
    /// Where; `.` is nowhere.
    pub(in crate::upstream::discover) target: String,
    /// At which port.
    pub(in crate::upstream::discover) port: u16,
    /// Its share among those of one priority.
    pub(in crate::upstream::discover) weight: u16,
}

/// The servers that records stand for. Priorities become tiers by their rank. Weights stay what they are, where they can: 0 is
/// the least that there is, which is a thousandth of the largest.
pub(in crate::upstream::discover) fn servers(mut records: Vec<Service>) -> Vec<ServerSpec> {
    // "A target of `.` means that the service is decidedly not available at this domain."
    records.retain(|record| record.target != "." && record.port != 0);
    records.sort_unstable();
    let mut by_priority: BTreeMap<u16, Vec<Service>> = BTreeMap::new();
    for record in records {
        by_priority.entry(record.priority).or_default().push(record);
    }
    let tiers = (0..=LAST_TIER).chain(std::iter::repeat(LAST_TIER));
    let tiers = tiers.zip(by_priority.into_values());
    tiers
        .flat_map(|(tier, records)| seated(tier, records))
        .collect()
}

fn seated(tier: u8, records: Vec<Service>) -> impl Iterator<Item = ServerSpec> {
    let weights = || records.iter().map(|record| u32::from(record.weight));
    let (least, most) = (weights().min().unwrap_or(0), weights().max().unwrap_or(0));
    let is_scaled = most > WEIGHT_MAX || (least == 0 && most > 0);
    records.into_iter().map(move |record| {
        let weight = match is_scaled {
            true => u32::from(record.weight) * WEIGHT_MAX / most,
            false => record.weight.into(),
        };
        let weight = u16::try_from(weight.clamp(1, WEIGHT_MAX)).unwrap_or(1);
        ServerSpec {
            host: Host::Name(record.target),
            port: record.port,
            seat: Seat {
                priority: tier,
                ..Seat::of_weight(weight)
            },
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(priority: u16, weight: u16, target: &str) -> Service {
        Service {
            priority,
            target: target.to_owned(),
            port: 80,
            weight,
        }
    }

    /// Name, tier and weight of each.
    fn told(records: &[Service]) -> Vec<(String, u8, u16)> {
        let servers = servers(records.to_vec());
        let told = |one: &ServerSpec| (one.to_string(), one.seat.priority, one.seat.weight);
        servers.iter().map(told).collect()
    }

    #[test]
    fn priorities_become_tiers_by_their_rank() {
        let records = [
            record(65535, 1, "c"),
            record(10, 3, "a"),
            record(20, 1, "b"),
        ];
        let expected = [("a:80", 0, 3), ("b:80", 1, 1), ("c:80", 2, 1)];
        assert_eq!(
            told(&records),
            expected.map(|(name, tier, weight)| (name.to_owned(), tier, weight))
        );
        let many: Vec<Service> = (0..15).map(|it| record(it * 10, 1, "x")).collect();
        let tiers: Vec<u8> = told(&many).iter().map(|(_, tier, _)| *tier).collect();
        assert_eq!(tiers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 9, 9]);
    }

    #[test]
    fn weights_keep_their_proportion_and_zero_is_the_least() {
        let weights = |all: &[u16]| -> Vec<u16> {
            let names = ["a", "b", "c"];
            let records = all
                .iter()
                .zip(names)
                .map(|(weight, name)| record(0, *weight, name));
            told(&records.collect::<Vec<_>>())
                .iter()
                .map(|(_, _, weight)| *weight)
                .collect()
        };
        assert_eq!(weights(&[60, 20, 20]), [60, 20, 20]);
        assert_eq!(weights(&[0, 0]), [1, 1]);
        assert_eq!(weights(&[0, 5, 10]), [1, 500, 1000]);
        assert_eq!(weights(&[60000, 30000, 1]), [1000, 500, 1]);
        assert_eq!(weights(&[65535]), [1000]);
    }

    #[test]
    fn a_service_that_is_decidedly_not_there_has_no_servers() {
        assert!(told(&[record(0, 0, ".")]).is_empty());
    }
}
