//! The code of each kind of finding (`E0201`, `W0402`), by which its page in `docs/errors/` is found. This is the only list
//! of them.
//!
//! A code stays what it is: a message may be worded anew under it, and a number that was once used is never used for
//! something else. One code is for one kind of mistake that a reader would look up, wherever it is found.
//!
//! | hundred | about |
//! |---|---|
//! | 01 | the text and YAML |
//! | 02 | keys and single values |
//! | 03 | listeners and settings |
//! | 04 | routes: conditions and ends |
//! | 05 | upstreams: servers, health checks, balancing |
//! | 06 | filters |
//! | 07 | the environment, and files that the file names |
//! | 08 | the file's own tests |
//! | 09 | filters of one's own |

use std::fmt;

use super::diagnostic::Severity;

/// The stable name of a kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code {
    severity: Severity,
    number: u16,
    title: &'static str,
}

impl Code {
    const fn error(number: u16, title: &'static str) -> Self {
        Self {
            severity: Severity::Error,
            number,
            title,
        }
    }

    const fn warning(number: u16, title: &'static str) -> Self {
        Self {
            severity: Severity::Warning,
            number,
            title,
        }
    }

    /// Whether it is the code of errors or of warnings.
    #[must_use]
    pub const fn severity(self) -> Severity {
        self.severity
    }

    /// The kind of mistake, in a few words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.title
    }

    /// The code that is written like this.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut all = ALL.iter();
        all.find(|code| code.to_string() == text).copied()
    }
}

/// `E0201`, `W0402`.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.severity {
            Severity::Error => 'E',
            Severity::Warning => 'W',
        };
        write!(f, "{letter}{:04}", self.number)
    }
}

/// A constant for each, and the list of all.
macro_rules! codes {
    ($($name:ident = $severity:ident $number:literal $title:literal;)*) => {
        $(
            #[doc = $title]
            pub const $name: Code = Code::$severity($number, $title);
        )*

        /// All of them, errors and warnings of a hundred together.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    FILE_UNREADABLE = error 101 "the file cannot be read";
    NOT_UTF8 = error 102 "the file is not UTF-8 text";
    TOO_LARGE = error 103 "the file is too large, or nested too deeply";
    FILE_EMPTY = error 104 "the file is empty";
    SECOND_DOCUMENT = error 105 "a second document in the file";
    TAB = error 106 "a tab in the indentation";
    INDENTATION = error 107 "indentation that does not fit";
    COLON_MISSING = error 108 "a colon is missing after a key";
    SECOND_COLON = error 109 "a second colon on one line";
    QUOTES = error 110 "quotes that do not enclose the value";
    ESCAPE = error 111 "an unknown escape within double quotes";
    BRACKETS = error 112 "brackets that do not match";
    COMMA_MISSING = error 113 "a comma is missing within brackets";
    NEEDS_QUOTES = error 114 "a value that needs quotes";
    LIST_MISPLACED = error 115 "a list item where none can stand";
    ALIAS = error 116 "an alias that stands for nothing";
    MERGE = error 117 "nothing to merge";
    TAG = error 118 "a tag that means nothing here";
    ODD_KEY = error 119 "a key that is no word";
    NOT_YAML = error 120 "the text is not YAML";
    MORE = error 121 "more mistakes than are shown";
    CANNOT_INCLUDE = error 122 "a file that cannot be included";
    INCLUDED_TWICE = error 123 "a file that is included twice";
    MORE_WARNINGS = warning 101 "more warnings than are shown";
    INCLUDES_NOTHING = warning 102 "a pattern that finds no file";
    ANCHOR_UNUSED = warning 103 "an anchor that nobody uses";

    UNKNOWN_KEY = error 201 "an unknown key";
    MISSING_KEY = error 202 "a key is missing";
    KEY_TWICE = error 203 "a key is written twice";
    NO_VALUE = error 204 "a key has no value";
    WRONG_TYPE = error 205 "a value of the wrong kind";
    OUT_OF_BOUNDS = error 206 "a value out of its bounds";
    UNKNOWN_VALUE = error 207 "none of the known values";
    UNKNOWN_COMPONENT = error 208 "an unknown filter, policy or health check";
    ONE_NAME = error 209 "one name is due, with its options";
    BAD_NAME = error 210 "a name that cannot be one";
    FIELD_NAME = error 211 "no field has such a name";
    FIELD_VALUE = error 212 "no field has such a value";
    FIELD_OF_THE_PROXY = error 213 "a field that the proxy sets itself";
    BARE_NUMBER = error 214 "a number without its unit";
    UNKNOWN_UNIT = error 215 "an unknown unit";
    QUANTITY = error 216 "no duration, size, rate, share or moment";
    NETWORK = error 217 "no address or network of clients";
    ONE_OF_TWO = error 218 "two keys of which only one can be";
    URL = error 219 "a URL where only a part of it is due";
    ADDRESS = error 220 "an address without its host or its port";
    HOST_NAME = error 221 "a host name that cannot be one";

    NO_LISTENER = error 301 "no listener";
    LISTEN_ON_NAME = error 302 "a listener without an IP address";
    SAME_PORT = error 303 "two that would listen on one port";
    NO_PROTOCOL = error 304 "a listener that speaks no protocol";
    ZERO_TIMEOUT = error 305 "a timeout of zero";

    NO_END = error 401 "a route that leads nowhere";
    TWO_ENDS = error 402 "a route with two ends";
    UNKNOWN_UPSTREAM = error 403 "there is no such upstream";
    NEVER_MATCHES = error 404 "conditions that can never hold";
    NO_CONDITION = error 405 "no condition where one is due";
    MATCH_TOO_LARGE = error 406 "a match that becomes too large";
    PATH = error 407 "a path that no request has";
    PATH_WILDCARD = error 408 "a star in a path";
    PATH_REGEX = error 409 "an expression that fits no path";
    REGEX = error 410 "no regular expression";
    HOST = error 411 "more than a host, or a misplaced star";
    METHOD = error 412 "no method";
    COMPARISON = error 413 "an unclear comparison";
    STICKY = error 414 "nothing to be sticky to";
    MIRROR = error 415 "nothing to copy";
    NO_SHARES = error 416 "a split without shares";
    REDIRECT_NOWHERE = error 417 "a redirect to where the client is";
    NO_PREFIX = error 418 "no prefix to replace";
    BODY_NOT_SENT = error 419 "a body that would not be sent";
    NO_ROUTES = warning 401 "no routes";
    SAME_MATCH = warning 402 "two routes match the same requests";
    HOST_CASE = warning 403 "a host that is not in lower case";
    ROUTE_HIDDEN = warning 404 "a route that can never match";
    REGEX_NEEDLESS = warning 405 "an expression where a path would do";

    NO_SERVERS = error 501 "an upstream without servers";
    SERVER_TWICE = error 502 "a server twice in one upstream";
    PACE = error 503 "a health check that cannot work at this pace";
    HEALTHY_STATUS = error 504 "no status, or range of them";
    TABLE_SIZE = error 505 "a table whose size is no prime number";
    POLICY_WITHIN = error 506 "a policy that cannot stand within another";
    URL_NOT_ASKED = error 507 "a URL that cannot be asked";
    UPSTREAM_UNUSED = warning 501 "no route leads to an upstream";
    NO_HEALTH_CHECK = warning 502 "several servers without a health check";
    NONE_SERVES = warning 503 "no server gets requests";
    LIST_UNUSABLE = warning 504 "a list of servers that cannot be used";
    STATE_ENDED = warning 505 "a state of a server that has ended";
    NO_EFFECT = warning 506 "a key that changes nothing here";

    NAME_OF_A_KIND = error 601 "a filter named like a kind of filter";
    OPTIONS_TWICE = error 602 "options for a filter that has them already";
    NOTHING_TO_DO = error 603 "a filter that is given nothing to do";
    PLACEHOLDER = error 604 "an unknown value of a request";
    NO_GROUP = error 605 "a group that the expression does not have";
    REWRITE = error 606 "a rewrite of too much, or too little";
    NOT_IN_A_URL = error 607 "what cannot be a part of the request that is sent on";
    PASSWORD_HASH = error 608 "no hash of a password";
    USER_NAME = error 609 "a user's name that cannot be sent";
    ORIGIN = error 610 "no origin";
    CREDENTIALS = error 611 "credentials for every origin";
    MEDIA_TYPE = error 612 "no media type";
    FAULT_ENDED = warning 601 "a fault that has ended";
    PLAIN_SECRET = warning 602 "a secret in plain text";
    FILTER_UNUSED = warning 603 "a filter that no route uses";

    VARIABLE_NOT_SET = error 701 "an environment variable is not set";
    VARIABLE_OPEN = error 702 "a variable without its closing brace";
    VARIABLE_NAME = error 703 "no name of an environment variable";
    FILE_NAMED = error 704 "a file that is named cannot be used";
    VALUE_FILE = error 705 "a file that cannot be used as a value";

    NO_REQUEST = error 801 "a test without a request that can be asked";
    EXPECTS_NOTHING = error 802 "a test that expects nothing";
    UNKNOWN_EXPECTED = error 803 "a test that expects what the file does not have";
    TEST_FAILS = error 804 "a test of the file's own fails";

    REFUSED_BY_FILTER = error 901 "a filter of one's own refuses its options";
    DOUBTED_BY_FILTER = warning 901 "a filter of one's own doubts its options";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_there_once_and_is_found_by_what_it_is_called() {
        for code in ALL {
            assert_eq!(Code::parse(&code.to_string()), Some(*code));
        }
        assert_eq!(UNKNOWN_KEY.to_string(), "E0201");
        assert_eq!(Code::parse("E0800"), None);
    }

    #[test]
    fn they_are_in_order() {
        let place = |code: &Code| (code.number / 100, code.severity, code.number);
        assert!(ALL.is_sorted_by(|one, next| place(one) < place(next)));
    }
}
