//! With `DATABASE_AUTH=iam`: the job logs in with an access token, over TLS.

use super::{MIGRATE, applied, files, run};
use license_tests::{
    tls::{Authority, superuser},
    tokens::TokenServer,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_job_logs_in_with_an_access_token_and_keeps_its_own_user() {
    license_tests::process::http(); // has the TLS provider installed
    let authority = Authority::new();
    let server = authority.postgres().await;
    for sql in [
        "create role cloudsqlsuperuser nologin createrole createdb".to_owned(),
        format!("create role \"{MIGRATE}\" login password 'ya29.first' in role cloudsqlsuperuser"),
        // The server is migrated already: what is its owner's belongs to whoever owns it.
        "grant owner to cloudsqlsuperuser; grant service, reaper, notify, admin to cloudsqlsuperuser with admin option"
            .to_owned(),
        "create database fresh owner cloudsqlsuperuser".to_owned(),
        "create role \"acquire@one.iam\" login".to_owned(),
    ] {
        superuser(&server, sql).await;
    }
    let metadata = TokenServer::giving("ya29.first").await;
    let url = format!("postgres://{}@127.0.0.1:{}/fresh", MIGRATE.replace('@', "%40"), server.superuser().get_port());
    let (ca, host, strangers) = (authority.pem(), metadata.host(), Authority::new().pem());
    let variables = |ca| {
        [
            ("DATABASE_URL", url.as_str()),
            ("DATABASE_AUTH", "iam"),
            ("DATABASE_CA", ca),
            ("DATABASE_GRANTS", "acquire@one.iam=service"),
            ("GCE_METADATA_HOST", host.as_str()),
            ("GOOGLE_CLOUD_PROJECT", "one"),
            ("CLOUD_RUN_JOB", "migrate"),
            ("START_PATIENCE_SECONDS", "0"),
        ]
    };
    let lines = run(&["up"], &variables(&ca)).await.ended(0);
    assert_eq!(applied(&lines), files().len());
    let status = run(&["status"], &variables(&ca)).await.ended(0);
    assert_eq!(status[0]["grants"], serde_json::json!(["acquire@one.iam=service"]));

    // A server whose certificate another CA signed is not told the token.
    let said = run(&["status"], &variables(&strangers)).await.said(3);
    assert!(said.contains("certificate"), "{said}");
    metadata.give("ya29.wrong", 3600);
    let said = run(&["status"], &variables(&ca)).await.said(4);
    assert!(!said.contains("ya29") && said.contains("Look whether the user in DATABASE_URL exists"), "{said}");
    metadata.give_none();
    let said = run(&["status"], &variables(&ca)).await.said(3);
    assert!(said.starts_with("there is no password: "), "{said}");
}
