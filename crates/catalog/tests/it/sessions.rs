//! Refresh tokens that are exchanged, passwords that change.

use spanlake_catalog::{
    Accounts as _, Catalog, Erasures as _, Error, Exchange, Keys as _, Member, NewAccount, PasswordReset, People as _,
    RefreshToken, Sessions as _,
};
use spanlake_model::{Principal, Role};

use crate::database::Database;
use crate::people::joined;
use crate::races::at_once;
use crate::samples::{OTHER, TENANT, account, at, key, refresh_token, reset_link};

async fn signed_up(catalog: &Catalog) -> NewAccount {
    let account = account(TENANT, "ann@example.com");
    catalog.sign_up(account.clone()).await.unwrap();
    account
}

async fn session(catalog: &Catalog, member: &Member) -> RefreshToken {
    let token = refresh_token(member, "family");
    assert!(catalog.add_refresh_token(token.clone(), &member.password_hash).await.unwrap());
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
    assert_eq!(exchange(&first, &late, 131).await, Exchange::Reused, "thirty seconds are over");
    assert_eq!(exchange(&second, &third, 132).await, Exchange::Done);
    assert_eq!(exchange(&second, &late, 133).await, Exchange::Done, "again lost");
    let used = catalog.refresh_token(&second.hash).await.unwrap().unwrap();
    assert_eq!(used.used_at, Some(at(132)), "grace counts from the first use");
    for (lost, seconds) in [(&lost, 134), (&third, 135)] {
        assert_eq!(
            exchange(lost, &late, seconds).await,
            Exchange::Reused,
            "whoever has what was lost shows that two have it"
        );
    }
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
        let stored = catalog.refresh_token(&hash).await.unwrap();
        living += usize::from(stored.is_some_and(|token| token.used_at.is_none()));
    }
    assert_eq!(living, 1);
}

pub(crate) async fn a_changed_password_ends_sessions_and_links(database: &Database) {
    let catalog = database.open().await;
    let ann = signed_up(&catalog).await.owner;
    let token = session(&catalog, &ann).await;
    catalog.add_password_reset(reset_link(&ann, 1)).await.unwrap();
    let change = async |from: &str| catalog.change_password(TENANT, ann.id, from, "new").await.unwrap();
    assert!(!change("not the one").await);
    assert!(catalog.refresh_token(&token.hash).await.unwrap().is_some());
    assert!(!catalog.change_password(OTHER, ann.id, &ann.password_hash, "new").await.unwrap());
    assert!(change(&ann.password_hash).await);
    assert_eq!(catalog.refresh_token(&token.hash).await.unwrap(), None);
    assert_eq!(catalog.password_reset(&[1], at(1)).await.unwrap(), None);
    assert_eq!(catalog.member(TENANT, ann.id).await.unwrap().unwrap().password_hash, "new");
}

pub(crate) async fn a_login_under_way_does_not_outlive_the_password(database: &Database) {
    let catalog = database.open().await;
    let ann = signed_up(&catalog).await.owner;
    assert!(catalog.change_password(TENANT, ann.id, &ann.password_hash, "new").await.unwrap());
    let late = refresh_token(&ann, "late");
    assert!(!catalog.add_refresh_token(late.clone(), &ann.password_hash).await.unwrap());
    assert_eq!(catalog.refresh_token(&late.hash).await.unwrap(), None);
    assert!(!catalog.add_refresh_token(RefreshToken { tenant: OTHER, ..late.clone() }, "new").await.unwrap());
    assert!(catalog.add_refresh_token(late, "new").await.unwrap());
}

pub(crate) async fn no_session_that_begins_or_goes_on_meanwhile_outlives_its_end(database: &Database) {
    let catalog = database.open().await;
    let mut ann = signed_up(&catalog).await.owner;
    for round in 0..16 {
        let token = session(&catalog, &ann).await;
        let [successor, begun] = [(); 2].map(|()| refresh_token(&ann, "family"));
        let end = async {
            match round % 2 {
                0 => assert!(catalog.change_password(TENANT, ann.id, &ann.password_hash, "new").await.unwrap()),
                _ => catalog.drop_family("family").await.unwrap(),
            }
        };
        let exchange = catalog.exchange_refresh_token(&token.hash, successor.clone(), at(100), at(70));
        let begin =
            async { round % 2 == 0 && catalog.add_refresh_token(begun.clone(), &ann.password_hash).await.unwrap() };
        let ((), exchanged, _) = tokio::join!(end, exchange, begin);
        assert!(matches!(exchanged.unwrap(), Exchange::Done | Exchange::Unknown));
        for token in [token, successor, begun] {
            assert_eq!(catalog.refresh_token(&token.hash).await.unwrap(), None, "round {round}");
        }
        ann = catalog.member(TENANT, ann.id).await.unwrap().unwrap();
        let old = catalog.change_password(TENANT, ann.id, &ann.password_hash, &format!("round {round}")).await.unwrap();
        assert!(old);
        ann = catalog.member(TENANT, ann.id).await.unwrap().unwrap();
    }
}

pub(crate) async fn a_reset_link_works_once_and_in_time_and_the_newest_counts(database: &Database) {
    let catalog = database.open().await;
    let ann = signed_up(&catalog).await.owner;
    let token = session(&catalog, &ann).await;
    catalog.add_password_reset(reset_link(&ann, 1)).await.unwrap();
    catalog.add_password_reset(reset_link(&ann, 2)).await.unwrap();
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

pub(crate) async fn a_reset_link_ends_with_the_role_of_its_member_and_of_its_maker(database: &Database) {
    let catalog = database.open().await;
    signed_up(&catalog).await;
    let [eve, bob] = [("eve@example.com", Role::Member), ("bob@example.com", Role::Admin)]
        .map(|(email, role)| joined(&catalog, email, role));
    let (eve, bob) = (eve.await, bob.await);
    let by_bob =
        |number| PasswordReset { made_by: Some(Principal::Member(bob.id, Role::Admin)), ..reset_link(&eve, number) };
    let opens = async |number: u8| {
        let seen = catalog.password_reset(&[number], at(1)).await.unwrap().is_some();
        assert_eq!(catalog.reset_password(&[number], "new", at(1)).await.unwrap().is_some(), seen);
        seen
    };
    let change = async |member: &Member, from, to| {
        catalog.change_role(TENANT, member.id, from, to).await.unwrap();
    };
    catalog.add_password_reset(by_bob(1)).await.unwrap();
    change(&eve, Role::Member, Role::Owner).await;
    change(&eve, Role::Owner, Role::Member).await;
    assert!(!opens(1).await, "its member was something else meanwhile");
    catalog.add_password_reset(by_bob(2)).await.unwrap();
    change(&bob, Role::Admin, Role::Viewer).await;
    assert!(!opens(2).await, "its maker may not make it any more");
    let too_late = catalog.add_password_reset(by_bob(3)).await;
    assert!(matches!(too_late, Err(Error::Changed(_))), "{too_late:?}");
    change(&bob, Role::Viewer, Role::Admin).await;
    catalog.add_password_reset(by_bob(4)).await.unwrap();
    catalog.remove_member(TENANT, bob.id, Role::Admin).await.unwrap();
    assert!(!opens(4).await, "its maker has gone");
    let of_another_role = PasswordReset { role: Role::Viewer, ..reset_link(&eve, 5) };
    assert!(matches!(catalog.add_password_reset(of_another_role).await, Err(Error::Changed(_))));
    catalog.add_password_reset(reset_link(&eve, 6)).await.unwrap();
    assert!(opens(6).await);
}

pub(crate) async fn a_link_that_a_revoked_key_made_opens_nothing(database: &Database) {
    let catalog = database.open().await;
    let ann = signed_up(&catalog).await.owner;
    let key = key(TENANT);
    catalog.add_key(key.clone()).await.unwrap();
    let link = PasswordReset { made_by: Some(Principal::Key(key.id)), ..reset_link(&ann, 1) };
    catalog.add_password_reset(link.clone()).await.unwrap();
    assert!(catalog.password_reset(&[1], at(1)).await.unwrap().is_some());
    catalog.revoke_key(TENANT, key.id, at(1)).await.unwrap();
    assert_eq!(catalog.password_reset(&[1], at(1)).await.unwrap(), None);
    assert!(matches!(catalog.add_password_reset(link).await, Err(Error::Changed(_))));
}

pub(crate) async fn of_a_reset_and_a_change_of_role_that_race_only_the_first_lets_in(database: &Database) {
    let catalog = database.open().await;
    signed_up(&catalog).await;
    for round in 1..=8 {
        let eve = joined(&catalog, &format!("{round}@example.com"), Role::Member).await;
        catalog.add_password_reset(reset_link(&eve, round)).await.unwrap();
        let token = [round];
        let (set, _) = tokio::join!(
            catalog.reset_password(&token, "new", at(1)),
            catalog.change_role(TENANT, eve.id, Role::Member, Role::Admin),
        );
        let set = set.unwrap();
        let found = catalog.member(TENANT, eve.id).await.unwrap().unwrap();
        assert_eq!((found.role, found.password_hash == "new"), (Role::Admin, set.is_some()));
        assert!(set.is_none_or(|member| member.role == Role::Member));
    }
}

pub(crate) async fn what_has_ended_is_deleted_a_day_later(database: &Database) {
    let catalog = database.open().await;
    let ann = signed_up(&catalog).await.owner;
    let ending = |seconds| RefreshToken { expires_at: at(seconds), ..refresh_token(&ann, "family") };
    let (over, going_on) = (ending(100), ending(101));
    for token in [&over, &going_on] {
        assert!(catalog.add_refresh_token(token.clone(), &ann.password_hash).await.unwrap());
    }
    joined(&catalog, "eve@example.com", Role::Viewer).await;
    catalog.add_password_reset(reset_link(&ann, 1)).await.unwrap();
    let rows = async || {
        let rows = database.rows_with("tenant_id", &TENANT.to_string()).await;
        let count = |table: &str| rows.iter().find(|(name, _)| *name == table).unwrap().1;
        ["refresh_tokens", "invites", "password_resets"].map(count)
    };
    let day = 86_400;
    catalog.finish_erasures(at(day + 99)).await.unwrap();
    assert_eq!(rows().await, [2, 1, 1]);
    catalog.finish_erasures(at(day + 100)).await.unwrap();
    assert_eq!(rows().await, [1, 0, 0]);
    assert_eq!(catalog.refresh_token(&going_on.hash).await.unwrap(), Some(going_on));
}
