//! What an attacker who took the role of the sender over sees and can tell of mails; and the functions about mails,
//! called with the name of one tenant and the ids of another.

use super::{
    Two,
    statements::{DENIED, REFUSED, done, refused, told},
    takeover::taken_over,
};
use license_core::records::DatabaseRole;
use license_tests::world::License;
use sqlx::PgConnection;

/// A mail, and its time as PostgreSQL writes it.
struct Written {
    mail: String,
    at: String,
}

impl Written {
    /// A statement about this mail.
    fn filled(&self, sql: &str) -> String {
        sql.replace("{mail}", &self.mail).replace("{at}", &self.at)
    }
}

const TAKE: &str = "select count(*) from take_mails('{tenant}', 50, 60)";
const BEGIN: &str = "select count(*) from begin_mail('{tenant}', '{mail}', '{at}', 1, 60)";
const FINISH: &str = "select finish_mail('{tenant}', '{mail}', '{at}', 1, 'sent', 'sent', null)";

async fn mail(truth: &mut PgConnection, license: &License) -> Written {
    let user = "select user_id::text from users where tenant_id = '{tenant}' limit 1";
    let user: String = told(truth, user, license).await;
    let write = format!("select write_mail('{{tenant}}', 'alert', '{user}', 'k', '{{\"title\": \"t\"}}')");
    assert!(told::<bool>(truth, &write, license).await);
    Written {
        mail: told(truth, "select mail_id::text from mails where tenant_id = '{tenant}'", license).await,
        at: told(truth, "select at::text from mails where tenant_id = '{tenant}'", license).await,
    }
}

async fn written() -> (Two, PgConnection, [Written; 2]) {
    let (two, notify) = taken_over(DatabaseRole::Notify).await;
    let mut truth = two.truth().await;
    let both = [mail(&mut truth, &two.a).await, mail(&mut truth, &two.b).await];
    (two, notify, both)
}

#[tokio::test]
async fn a_sender_that_was_taken_over_sees_whose_mails_wait_and_nothing_else_of_them() {
    let (two, mut notify, [of_a, _]) = written().await;
    done(&mut notify, "select set_config('app.tenant_id', '', false)", &two.a).await.unwrap();
    let waiting = "select count(*) from (select tenant_id, at, next_at from mails) w";
    assert_eq!(told::<i64>(&mut notify, waiting, &two.a).await, 2, "of every tenant");
    assert_eq!(told::<Option<String>>(&mut notify, &of_a.filled(FINISH), &two.a).await, None, "nobody took it");
    assert_eq!(told::<i64>(&mut notify, TAKE, &two.a).await, 1);
    assert_eq!(told::<i64>(&mut notify, TAKE, &two.a).await, 0, "held");
    assert_eq!(told::<Option<String>>(&mut notify, &of_a.filled(FINISH), &two.a).await, None, "nobody began it");
    assert_eq!(told::<i64>(&mut notify, &of_a.filled(BEGIN), &two.a).await, 1);
    assert_eq!(told::<String>(&mut notify, &of_a.filled(FINISH), &two.a).await, "sent");
    assert_eq!(told::<Option<String>>(&mut notify, &of_a.filled(FINISH), &two.a).await, None, "once");
    done(&mut notify, "select set_config('app.tenant_id', '', false)", &two.a).await.unwrap();
    assert_eq!(told::<i64>(&mut notify, waiting, &two.a).await, 1, "and what is not over alone");
    let denied = [
        "select mail_id from mails",
        "select data from mails",
        "select user_id, sealed from mails",
        "update mails set next_at = now()",
        "delete from mails",
        "select * from mail_refusals",
        "insert into mail_refusals (tenant_id, user_id, kind, refused) values ('{tenant}', '{tenant}', 'alert', true)",
        "select write_mail('{tenant}', 'alert', '{tenant}', 'k', '{}')",
        "select write_invitation_mail('{tenant}', '{tenant}', 's')",
    ];
    refused(&mut notify, &two.a, DENIED, &denied).await;
    let mut admin = two.as_role(DatabaseRole::Admin).await;
    let denied = ["select count(*) from mails", "select write_mail('{tenant}', 'alert', '{tenant}', 'k', '{}')", TAKE];
    refused(&mut admin, &two.a, DENIED, &denied).await;
}

#[tokio::test]
async fn what_no_sender_says_of_mails_is_refused() {
    let (two, mut notify, [of_a, _]) = written().await;
    let instead = |sql: &str, was: &str, is: &str| {
        assert!(sql.contains(was), "{was}");
        of_a.filled(&sql.replacen(was, is, 1))
    };
    let nonsense = [
        instead(TAKE, "'{tenant}'", "null"),
        instead(TAKE, "50", "51"),
        instead(TAKE, "50", "null"),
        instead(TAKE, "60", "9"),
        instead(BEGIN, "'{mail}'", "null"),
        instead(BEGIN, " 1,", " 0,"),
        instead(BEGIN, "60", "601"),
        instead(FINISH, "'sent'", "'skipped'"),
        instead(FINISH, "'sent'", "null"),
        instead(FINISH, "'sent', null", "'Sent!', null"),
        instead(FINISH, ", null", ", 60"),
        instead(FINISH, "'sent', 'sent', null", "'waiting', 'deferred', null"),
        "select skip_mails(null)".to_owned(),
    ];
    let nonsense: Vec<&str> = nonsense.iter().map(String::as_str).collect();
    refused(&mut notify, &two.a, REFUSED, &nonsense).await;
}

#[tokio::test]
async fn mails_with_one_tenant_and_anothers_id_are_none_and_change_nothing() {
    let (two, mut notify, [_, of_b]) = written().await;
    assert_eq!(told::<i64>(&mut notify, TAKE, &two.b).await, 1);
    let before = two.rows_of(&two.b).await;
    assert_eq!(told::<i64>(&mut notify, &of_b.filled(BEGIN), &two.a).await, 0);
    assert_eq!(told::<Option<String>>(&mut notify, &of_b.filled(FINISH), &two.a).await, None);
    assert_eq!(told::<i32>(&mut notify, "select skip_mails('{tenant}')", &two.a).await, 0);
    let mut admin = two.as_role(DatabaseRole::Admin).await;
    let invited = "select write_invitation_mail('{tenant}', gen_random_uuid(), 's')";
    assert_eq!(told::<String>(&mut admin, invited, &two.a).await, "not_open");
    assert_eq!(two.rows_of(&two.b).await, before);
    assert_eq!(told::<i64>(&mut notify, &of_b.filled(BEGIN), &two.b).await, 1, "as it was");
}
