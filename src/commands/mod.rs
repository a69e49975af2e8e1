//! The commands: parse the arguments, run the command, print the result.

mod answer;
mod calendars;
mod check;
mod completions;
mod connect;
mod forget;
mod local;
mod locks;
mod output;
mod progress;
mod run;
mod status;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::{self, Command, Global};
use crate::config::{self, AdHoc, Config, Environment, Problem, Where};
use crate::exit;
use crate::report::advice::Advice;
use crate::report::json;
use crate::words::error::{kind_of, sentence};

use output::Output;

/// Runs the program: arguments, including the program's name, -> exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match cli::parse(arguments) {
        Ok(cli) => cli,
        Err(answer) => {
            // If even the terminal is gone, there is nowhere to report it.
            let _ = answer.print();
            return answer.code();
        }
    };
    let environment = Environment::of_process();
    let output = Output::new(&cli.global, &environment);
    let Global { config, state, profile, .. } = cli.global.clone();
    let advice = advice(&cli.global, &environment);
    let place = Where { config, state, profile };
    let result = match &cli.command {
        Command::Run(arguments) => {
            let ad_hoc = arguments.source.clone().zip(arguments.target.clone());
            let ad_hoc = ad_hoc.map(|(source, target)| AdHoc { source, target });
            match settle(&place, &environment, ad_hoc.as_ref(), &output, arguments.json) {
                Ok(config) => match config.without_subscriptions() {
                    Some(problem) => Ok(refuse(&[problem], &output, arguments.json)),
                    None => run::run(&config, arguments, ad_hoc.is_some(), &advice, &output),
                },
                Err(code) => Ok(code),
            }
        }
        Command::Status { names, json } => match settle(&place, &environment, None, &output, *json) {
            Ok(config) => status::status(&config, names, *json, &advice, &output),
            Err(code) => Ok(code),
        },
        Command::Forget(arguments) => match settle(&place, &environment, None, &output, false) {
            Ok(config) => forget::forget(&config, arguments, &advice, &output),
            Err(code) => Ok(code),
        },
        Command::Remove(arguments) => match settle(&place, &environment, None, &output, false) {
            Ok(config) => forget::remove(&config, arguments, &advice, &output),
            Err(code) => Ok(code),
        },
        Command::Approve { name } => match config::state_file(&place, &environment) {
            Ok(state) => answer::approve(&state, name, &advice, &output),
            Err(problems) => Ok(refuse(&problems, &output, false)),
        },
        Command::Retry { names } => match config::state_file(&place, &environment) {
            Ok(state) => answer::retry(&state, names, &advice, &output),
            Err(problems) => Ok(refuse(&problems, &output, false)),
        },
        Command::Calendars { json, server } => match settle(&place, &environment, None, &output, *json) {
            Ok(config) => calendars::calendars(&config, server.as_deref(), *json, &output),
            Err(code) => Ok(code),
        },
        Command::Check => {
            let (text, code) = check::check(&config::load(&place, &environment, None));
            output.result(&text);
            Ok(code)
        }
        Command::Completions { shell } => {
            output.result(&String::from_utf8_lossy(&completions::completions(*shell)));
            Ok(exit::SETTLED)
        }
    };
    result.unwrap_or_else(|error| {
        let (kind, message) = (kind_of(&error), sentence(&error));
        let code = exit::of(kind, false, None);
        output.error(&message);
        if wants_json(&cli.command) {
            output.result(&json::failure(kind.as_str(), &[message], code));
        }
        code
    })
}

/// What printed commands must include to work wherever they are read.
fn advice(global: &Global, environment: &Environment) -> Advice {
    let profile = global.profile.clone();
    // A profile has its own files, whatever the variables say.
    let of_variable = |name: &str| environment.get(name).filter(|_| profile.is_none()).map(PathBuf::from);
    let named = |flag: &Option<PathBuf>, variable: &str| {
        let path = flag.clone().or_else(|| of_variable(variable))?;
        Some(environment.folder().join(path).components().collect::<PathBuf>().display().to_string())
    };
    let config = named(&global.config, "BAIKAL_SYNC_CONFIG");
    let state = named(&global.state, "BAIKAL_SYNC_STATE");
    Advice { profile, config, state }
}

/// Whether standard output must be one JSON document, whatever happens.
fn wants_json(command: &Command) -> bool {
    match command {
        Command::Run(arguments) => arguments.json,
        Command::Status { json, .. } | Command::Calendars { json, .. } => *json,
        Command::Approve { .. }
        | Command::Retry { .. }
        | Command::Check
        | Command::Completions { .. }
        | Command::Forget(_)
        | Command::Remove(_) => false,
    }
}

/// The configuration, or the exit code after reporting every mistake in it.
fn settle(
    place: &Where,
    environment: &Environment,
    ad_hoc: Option<&AdHoc>,
    output: &Output,
    json: bool,
) -> Result<Config, u8> {
    config::load(place, environment, ad_hoc).map_err(|problems| refuse(&problems, output, json))
}

/// Reports what is wrong with the configuration.
fn refuse(problems: &[Problem], output: &Output, json: bool) -> u8 {
    let problems: Vec<String> = problems.iter().map(Problem::to_string).collect();
    for problem in &problems {
        output.error(problem);
    }
    if json {
        output.result(&json::failure("configuration", &problems, exit::CONFIGURATION));
    }
    exit::CONFIGURATION
}
