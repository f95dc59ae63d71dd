//! Refresh tokens that are exchanged, passwords that change.

use spanlake_catalog::{
    Accounts as _, Catalog, Exchange, Member, NewAccount, PasswordReset, RefreshToken, Sessions as _,
};

use crate::database::Database;
use crate::races::at_once;
use crate::samples::{OTHER, TENANT, account, at, refresh_token};

async fn signed_up(catalog: &Catalog) -> NewAccount {
    let account = account(TENANT, "ann@example.com");
    catalog.sign_up(account.clone()).await.unwrap();
    account
}

async fn session(catalog: &Catalog, member: &Member) -> RefreshToken {
    let token = refresh_token(member, "family");
    catalog.add_refresh_token(token.clone()).await.unwrap();
    token
}

pub(crate) async fn a_lost_answer_is_given_again_while_its_token_was_not_used(database: &Database) {
    let catalog = database.open().await;
    let ann = signed_up(&catalog).await.owner;
    let first = session(&catalog, &ann).await;
    let [lost, second, third, late] = [(); 4].map(|()| refresh_token(&ann, "family"));
    let exchange = async |token: &RefreshToken, successor: &RefreshToken, seconds: i64| {
        catalog.exchange_refresh_token(&token.hash, successor.clone(), at(seconds), at(seconds - 30)).await.unwrap()
    };
    assert_eq!(exchange(&first, &lost, 100).await, Exchange::Done);
    assert_eq!(exchange(&first, &second, 130).await, Exchange::Done, "the answer was lost");
    assert_eq!(catalog.refresh_token(&lost.hash).await.unwrap(), None, "one successor lives");
    assert_eq!(exchange(&first, &late, 131).await, Exchange::Reused, "thirty seconds are over");
    assert_eq!(exchange(&second, &third, 132).await, Exchange::Done);
    assert_eq!(exchange(&second, &late, 133).await, Exchange::Done, "again lost");
    let used = catalog.refresh_token(&second.hash).await.unwrap().unwrap();
    assert_eq!(used.used_at, Some(at(132)), "grace counts from the first use");
    assert_eq!(exchange(&lost, &third, 134).await, Exchange::Unknown);
    let foreign = refresh_token(&ann, "another family");
    assert_eq!(exchange(&late, &foreign, 134).await, Exchange::Unknown);
}

pub(crate) async fn a_token_whose_successor_is_in_use_is_not_exchanged_again(database: &Database) {
    let catalog = database.open().await;
    let ann = signed_up(&catalog).await.owner;
    let first = session(&catalog, &ann).await;
    let [second, third, stolen] = [(); 3].map(|()| refresh_token(&ann, "family"));
    for (token, successor, outcome) in
        [(&first, &second, Exchange::Done), (&second, &third, Exchange::Done), (&first, &stolen, Exchange::Reused)]
    {
        let exchanged = catalog.exchange_refresh_token(&token.hash, successor.clone(), at(100), at(70)).await.unwrap();
        assert_eq!(exchanged, outcome);
    }
    assert_eq!(catalog.refresh_token(&stolen.hash).await.unwrap(), None);
}

pub(crate) async fn of_racing_exchanges_one_successor_lives(database: &Database) {
    let catalog = database.open().await;
    let ann = signed_up(&catalog).await.owner;
    let first = session(&catalog, &ann).await;
    let successors = at_once(8, |_| {
        let (catalog, hash, successor) = (catalog.clone(), first.hash.clone(), refresh_token(&ann, "family"));
        async move {
            catalog.exchange_refresh_token(&hash, successor.clone(), at(100), at(70)).await.unwrap();
            successor.hash
        }
    })
    .await;
    let mut living = 0;
    for hash in successors {
        living += usize::from(catalog.refresh_token(&hash).await.unwrap().is_some());
    }
    assert_eq!(living, 1);
}

pub(crate) async fn a_changed_password_ends_sessions_and_links(database: &Database) {
    let catalog = database.open().await;
    let ann = signed_up(&catalog).await.owner;
    let token = session(&catalog, &ann).await;
    catalog.add_password_reset(reset(&ann, 1)).await.unwrap();
    let change = async |from: &str| catalog.change_password(TENANT, ann.id, from, "new").await.unwrap();
    assert!(!change("not the one").await);
    assert!(catalog.refresh_token(&token.hash).await.unwrap().is_some());
    assert!(!catalog.change_password(OTHER, ann.id, &ann.password_hash, "new").await.unwrap());
    assert!(change(&ann.password_hash).await);
    assert_eq!(catalog.refresh_token(&token.hash).await.unwrap(), None);
    assert_eq!(catalog.password_reset(&[1], at(1)).await.unwrap(), None);
    assert_eq!(catalog.member(TENANT, ann.id).await.unwrap().unwrap().password_hash, "new");
}

fn reset(member: &Member, number: u8) -> PasswordReset {
    PasswordReset { tenant: member.tenant, member: member.id, token_hash: vec![number], expires_at: at(100) }
}

pub(crate) async fn a_reset_link_works_once_and_in_time_and_the_newest_counts(database: &Database) {
    let catalog = database.open().await;
    let ann = signed_up(&catalog).await.owner;
    let token = session(&catalog, &ann).await;
    catalog.add_password_reset(reset(&ann, 1)).await.unwrap();
    catalog.add_password_reset(reset(&ann, 2)).await.unwrap();
    assert_eq!(catalog.password_reset(&[1], at(1)).await.unwrap(), None, "replaced");
    assert_eq!(catalog.password_reset(&[2], at(99)).await.unwrap(), Some(ann.clone()));
    assert_eq!(catalog.password_reset(&[2], at(100)).await.unwrap(), None);
    assert_eq!(catalog.reset_password(&[2], "late", at(100)).await.unwrap(), None);
    let answers = at_once(4, |index| {
        let catalog = catalog.clone();
        async move { catalog.reset_password(&[2], &format!("new {index}"), at(50)).await.unwrap() }
    })
    .await;
    let set: Vec<_> = answers.into_iter().flatten().collect();
    assert_eq!(set.len(), 1);
    assert_eq!(catalog.member(TENANT, ann.id).await.unwrap().as_ref(), set.first());
    assert_eq!(catalog.refresh_token(&token.hash).await.unwrap(), None);
}
