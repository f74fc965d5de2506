//! What may be said on the command line.

use std::{net::IpAddr, path::PathBuf};

/// What `--help` prints. `./dev run --help` prints the file, so that nobody waits for a build to read it.
pub(crate) const HELP: &str = include_str!("help.txt");

/// The command line, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandLine {
    pub(crate) port: u16,
    pub(crate) data: PathBuf,
    pub(crate) clean: bool,
    pub(crate) once: bool,
    pub(crate) bind: IpAddr,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AskedCommand {
    Run(CommandLine),
    Rotate(RotateCommand),
    Help,
}

/// A key of this machine that can be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplaceableKey {
    Pepper,
    Handle,
    Webhook,
    Root,
}

impl ReplaceableKey {
    const ALL: [Self; 4] = [Self::Pepper, Self::Handle, Self::Webhook, Self::Root];

    /// As it is called on the command line.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Pepper => "pepper",
            Self::Handle => "handle",
            Self::Webhook => "webhook",
            Self::Root => "root",
        }
    }

    /// Where it is kept.
    pub(crate) const fn file(self) -> &'static str {
        match self {
            Self::Pepper => "pepper.key",
            Self::Handle => "handle.key",
            Self::Webhook => "webhook.key",
            Self::Root => "root.pem",
        }
    }
}

/// How far a rotation is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RotationStep {
    Begin,
    Switch,
    Finish,
}

/// One step of replacing a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RotateCommand {
    pub(crate) key: ReplaceableKey,
    pub(crate) step: RotationStep,
    pub(crate) data: PathBuf,
}

impl CommandLine {
    /// True unless the functions are reachable from other machines.
    pub(crate) fn private(&self) -> bool {
        self.bind.is_loopback()
    }
}

/// Takes a command line apart.
///
/// # Errors
/// With a sentence about the argument that is wrong.
pub(crate) fn parse(mut arguments: lexopt::Parser) -> Result<AskedCommand, lexopt::Error> {
    use lexopt::{
        Arg::{Long, Value},
        ValueExt,
    };
    let mut options = CommandLine {
        port: 8080,
        data: ".local".into(),
        clean: false,
        once: false,
        bind: IpAddr::from([127, 0, 0, 1]),
    };
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(word) if word == "rotate" => return rotate(arguments),
            Long("port") => options.port = arguments.value()?.parse()?,
            Long("data") => options.data = arguments.value()?.into(),
            Long("bind") => options.bind = arguments.value()?.parse()?,
            Long("clean") => options.clean = true,
            Long("once") => options.once = true,
            Long("help") | lexopt::Arg::Short('h') => return Ok(AskedCommand::Help),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(AskedCommand::Run(options))
}

/// What stands behind `rotate`.
fn rotate(mut arguments: lexopt::Parser) -> Result<AskedCommand, lexopt::Error> {
    use lexopt::Arg::{Long, Value};
    let (mut key, mut step, mut data) = (None, RotationStep::Begin, PathBuf::from(".local"));
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("data") => data = arguments.value()?.into(),
            Long("switch") if step == RotationStep::Begin => step = RotationStep::Switch,
            Long("finish") if step == RotationStep::Begin => step = RotationStep::Finish,
            Long("help") | lexopt::Arg::Short('h') => return Ok(AskedCommand::Help),
            Value(word) if key.is_none() => {
                let known = ReplaceableKey::ALL.into_iter().find(|key| word == key.word());
                key = Some(known.ok_or_else(|| {
                    format!("{} is no key that can be rotated: pepper, handle, webhook or root", word.display())
                })?);
            }
            _ => return Err(argument.unexpected()),
        }
    }
    let key = key.ok_or("rotate what: pepper, handle, webhook or root?")?;
    if step == RotationStep::Switch && key != ReplaceableKey::Root {
        return Err(format!("--switch is for the root alone; a new {} is used at once", key.word()).into());
    }
    Ok(AskedCommand::Rotate(RotateCommand { key, step, data }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &[&str]) -> Result<AskedCommand, String> {
        parse(lexopt::Parser::from_args(arguments)).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_said_is_a_private_server_on_8080_with_its_data_here() {
        let Ok(AskedCommand::Run(options)) = asked(&[]) else { panic!("runs") };
        assert!(options.private() && !options.clean && !options.once);
        assert_eq!((options.port, options.data), (8080, PathBuf::from(".local")));
    }

    #[test]
    fn every_option_is_read_and_an_unknown_or_wrong_one_is_named() {
        let said = ["--port=0", "--data", "/d", "--bind", "0.0.0.0", "--clean", "--once"];
        let Ok(AskedCommand::Run(options)) = asked(&said) else { panic!("runs") };
        assert!(!options.private() && options.clean && options.once && options.port == 0);
        assert_eq!(options.data, PathBuf::from("/d"));
        assert_eq!(asked(&["--help"]), Ok(AskedCommand::Help));
        assert!(asked(&["start"]).unwrap_err().contains("start"));
        assert!(asked(&["--prot", "1"]).unwrap_err().contains("--prot"));
        assert!(asked(&["--port", "many"]).unwrap_err().contains("many"));
    }

    #[test]
    fn a_rotation_is_of_one_key_and_one_step_and_what_makes_no_sense_is_refused() {
        let rotate = |key, step, data: &str| Ok(AskedCommand::Rotate(RotateCommand { key, step, data: data.into() }));
        assert_eq!(asked(&["rotate", "pepper"]), rotate(ReplaceableKey::Pepper, RotationStep::Begin, ".local"));
        assert_eq!(
            asked(&["rotate", "--data", "/d", "root", "--switch"]),
            rotate(ReplaceableKey::Root, RotationStep::Switch, "/d")
        );
        assert_eq!(
            asked(&["rotate", "handle", "--finish"]),
            rotate(ReplaceableKey::Handle, RotationStep::Finish, ".local")
        );
        assert_eq!(asked(&["rotate", "webhook"]), rotate(ReplaceableKey::Webhook, RotationStep::Begin, ".local"));
        for wrong in [
            &["rotate"][..],
            &["rotate", "issuer"],
            &["rotate", "root", "pepper"],
            &["rotate", "pepper", "--switch"],
            &["rotate", "root", "--switch", "--finish"],
            &["rotate", "root", "--clean"],
        ] {
            assert!(asked(wrong).is_err(), "{wrong:?}");
        }
    }
}
