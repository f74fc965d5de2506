//! A Redis that behaves like a managed server: it has one user, who logs in with a token and may call the commands that
//! `tests/cloud/stores/commands.txt` names, and no others.

use crate::World;
use redis::aio::MultiplexedConnection;
use std::collections::{BTreeSet, HashMap};

/// What the user may call.
pub fn commands() -> BTreeSet<&'static str> {
    let lines = include_str!("../cloud/stores/commands.txt").lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// Whoever looks after the server, on a connection of its own.
pub struct ManagedRedis {
    admin: MultiplexedConnection,
}

impl ManagedRedis {
    /// Closes a world's Redis: from now on `default` needs this token.
    pub async fn of(world: &World, token: &str) -> Self {
        let mut admin = world.redis().await;
        command("ACL SETUSER admin on >admin ~* &* +@all").exec_async(&mut admin).await.unwrap();
        command("AUTH admin admin").exec_async(&mut admin).await.unwrap();
        let may: Vec<String> = commands().iter().map(|name| format!("+{}", name.to_lowercase())).collect();
        let words = format!("ACL SETUSER default reset on >{token} ~* -@all {}", may.join(" "));
        command(&words).exec_async(&mut admin).await.unwrap();
        Self { admin }
    }

    /// From now on takes this token and no other.
    pub async fn accept(&mut self, token: &str) {
        self.exec(&format!("ACL SETUSER default resetpass >{token}")).await;
    }

    /// Has a command obeyed that is made of words without spaces.
    pub async fn exec(&mut self, words: &str) {
        command(words).exec_async(&mut self.admin).await.unwrap();
    }

    /// What a command says.
    pub async fn ask(&mut self, words: &str) -> String {
        command(words).query_async(&mut self.admin).await.unwrap()
    }

    /// What was refused since it was last asked: the commands, or "auth".
    pub async fn refused(&mut self) -> BTreeSet<String> {
        let log: Vec<HashMap<String, redis::Value>> = command("ACL LOG").query_async(&mut self.admin).await.unwrap();
        self.exec("ACL LOG RESET").await;
        let text = |value: &redis::Value| redis::from_redis_value_ref::<String>(value).unwrap();
        log.iter().map(|entry| format!("{} {}", text(&entry["reason"]), text(&entry["object"]))).collect()
    }
}

fn command(words: &str) -> redis::Cmd {
    let mut words = words.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    words.for_each(|word| _ = command.arg(word));
    command
}
