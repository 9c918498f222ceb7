//! Whole numbers within bounds, as expressions: a schema bounds a number by itself, but none that is a part of a text.

/// From one number to another, with any zeros in front.
pub(crate) fn between(least: u128, most: u128) -> String {
    let mut choices = Vec::new();
    if least == 0 {
        choices.push("0".to_owned());
    }
    let (least, most) = (digits(least.max(1)), digits(most));
    // Of these lengths, all.
    let mut whole = Vec::new();
    for length in least.len()..=most.len() {
        let (first, last) = (first_of(length), last_of(length));
        let from = if length == least.len() {
            &least
        } else {
            &first
        };
        let to = if length == most.len() { &most } else { &last };
        if (from, to) == (&first, &last) {
            whole.push(length - 1);
        } else if from <= to {
            choices.push(alike(from.as_bytes(), to.as_bytes()));
        }
    }
    if let (Some(first), Some(last)) = (whole.first(), whole.last()) {
        choices.push(format!("[1-9]{}", any(*first, Some(*last))));
    }
    format!("0*{}", one_of(&choices))
}

/// This number, which is not 0, and all that are larger.
pub(crate) fn at_least(least: u128) -> String {
    let least = digits(least);
    let length = least.len();
    if least == first_of(length) {
        return format!("0*[1-9]{}", any(length - 1, None));
    }
    let as_long = alike(least.as_bytes(), last_of(length).as_bytes());
    format!(
        "0*{}",
        one_of(&[as_long, format!("[1-9]{}", any(length, None))])
    )
}

/// So many digits, whatever they are.
fn any(least: usize, most: Option<usize>) -> String {
    match (least, most) {
        (0, Some(0)) => String::new(),
        (1, Some(1)) => "[0-9]".to_owned(),
        (0, None) => "[0-9]*".to_owned(),
        (least, None) => format!("[0-9]{{{least},}}"),
        (least, Some(most)) if least == most => format!("[0-9]{{{least}}}"),
        (least, Some(most)) => format!("[0-9]{{{least},{most}}}"),
    }
}

fn digits(number: u128) -> String {
    number.to_string()
}

fn first_of(length: usize) -> String {
    "1".to_owned() + &"0".repeat(length.saturating_sub(1))
}

fn last_of(length: usize) -> String {
    "9".repeat(length)
}

fn one_of(choices: &[String]) -> String {
    match choices {
        [one] => one.clone(),
        _ => format!("({})", choices.join("|")),
    }
}

/// Of two numbers that have as many digits.
fn alike(from: &[u8], to: &[u8]) -> String {
    let (Some((low, from)), Some((high, to))) = (from.split_first(), to.split_first()) else {
        return String::new();
    };
    if low == high {
        return format!("{}{}", char::from(*low), alike(from, to));
    }
    let (mut low, mut high) = (*low, *high);
    let mut choices = Vec::new();
    if from.iter().any(|digit| *digit != b'0') {
        let rest = alike(from, &vec![b'9'; from.len()]);
        choices.push(format!("{}{rest}", char::from(low)));
        low += 1;
    }
    if to.iter().any(|digit| *digit != b'9') {
        let rest = alike(&vec![b'0'; to.len()], to);
        choices.push(format!("{}{rest}", char::from(high)));
        high -= 1;
    }
    if low <= high {
        let first = match low == high {
            true => char::from(low).to_string(),
            false => format!("[{}-{}]", char::from(low), char::from(high)),
        };
        choices.push(first + &any(from.len(), Some(from.len())));
    }
    one_of(&choices)
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    fn whole(expression: &str) -> Regex {
        Regex::new(&format!("^{expression}$")).unwrap()
    }

    #[test]
    fn each_number_is_within_or_not() {
        for (least, most) in [
            (0, 0),
            (0, 9),
            (1, 10),
            (0, 255),
            (100, 599),
            (7, 1000),
            (50, 50),
            (199, 201),
        ] {
            let expression = whole(&between(least, most));
            let above = whole(&at_least(least.max(1)));
            for number in 0..=2000 {
                let is_within = (least..=most).contains(&number);
                assert_eq!(
                    expression.is_match(&number.to_string()),
                    is_within,
                    "{number}: {expression}"
                );
                assert_eq!(
                    expression.is_match(&format!("00{number}")),
                    is_within,
                    "00{number}: {expression}"
                );
                assert_eq!(
                    above.is_match(&number.to_string()),
                    least.max(1) <= number,
                    "{number}: {above}"
                );
            }
        }
        let ports = whole(&between(1, u16::MAX.into()));
        for number in 0..=70_000_u128 {
            assert_eq!(
                ports.is_match(&number.to_string()),
                (1..=65535).contains(&number),
                "{number}"
            );
        }
        for no_number in ["", "-1", "1.5", "a", "1 "] {
            assert!(!ports.is_match(no_number), "{no_number}");
        }
    }
}
