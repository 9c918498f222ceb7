//! `tidegate explain`: which route takes a request and why, what its filters change, who could answer. From the file, or
//! from the running instance.

use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::instance::InstanceOptions;
use super::{Format, colour};
use crate::filter::Catalogue;
use crate::snapshot::{Plan, Snapshot};
use crate::trial::{Explanation, Question, explain as explained};

#[derive(Debug, Args)]
pub(super) struct ExplainOptions {
    #[command(flatten)]
    instance: InstanceOptions,
    /// The method, if it is another one than GET, and a path or a URL
    #[arg(value_name = "[METHOD] URL", num_args = 1..=2, required = true)]
    request: Vec<String>,
    /// A field of the request, as often as needed
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = field)]
    headers: Vec<(String, String)>,
    /// Who asks
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    client: IpAddr,
    /// Ask the running instance, not the file
    #[arg(long)]
    live: bool,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("expected a name and a value, such as `X-User: ann`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

pub(super) fn explain(options: &ExplainOptions, filters: &Catalogue) -> ExitCode {
    let (method, url) = match options.request.as_slice() {
        [url] => ("GET", url.as_str()),
        [method, url, ..] => (method.as_str(), url.as_str()),
        [] => ("GET", "/"),
    };
    let mut question = Question::new(method, url);
    question.headers.clone_from(&options.headers);
    question.client = options.client.to_canonical();
    let explanation = if options.live {
        from_instance(options, &question)
    } else {
        from_file(options, &question, filters)
    };
    match explanation.and_then(|explanation| shown(&explanation, options.format)) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("tidegate: {}", why.trim_end());
            ExitCode::FAILURE
        }
    }
}

fn shown(explanation: &Explanation, format: Format) -> Result<String, String> {
    match format {
        Format::Human => Ok(explanation.to_string()),
        Format::Json => serde_json::to_string_pretty(explanation)
            .map(|text| text + "\n")
            .map_err(|error| error.to_string()),
    }
}

/// A file whose tests fail can be explained all the same: that is when it is asked for.
fn from_file(
    options: &ExplainOptions,
    question: &Question,
    filters: &Catalogue,
) -> Result<Explanation, String> {
    let path = &options.instance.file.config;
    let loaded = Plan::load(path, filters)
        .map_err(|report| format!("the file is wrong\n{}", report.render(colour())))?;
    let snapshot = Arc::new(Snapshot::still(&loaded.made));
    explained(&snapshot, question).map_err(|why| why.to_string())
}

fn from_instance(options: &ExplainOptions, question: &Question) -> Result<Explanation, String> {
    let instance = options.instance.instance()?;
    let body = serde_json::to_vec(question).map_err(|error| error.to_string())?;
    let said = instance.post("/explain", "application/json", body)?;
    if said.status.is_success() {
        said.read()
    } else {
        Err(said.read::<crate::admin::Problem>()?.error)
    }
}
