//! Members and invitations.

use spanlake_catalog::{
    Accounts as _, Actor, Catalog, Error, Invite, Keys as _, Member, MemberChange, NewAccount, People as _,
    Sessions as _,
};
use spanlake_model::{Entropy as _, InviteId, MemberId, Principal, Role, SystemEntropy, TenantId};

use crate::database::Database;
use crate::samples::{OTHER, TENANT, account, at, key, refresh_token};

fn bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    SystemEntropy.fill(&mut bytes);
    bytes
}

fn invite(tenant: TenantId, email: &str, role: Role) -> Invite {
    Invite {
        id: InviteId::from_bytes(bytes()),
        tenant,
        email: email.into(),
        role,
        token_hash: bytes().to_vec(),
        invited_by: None,
        created_at: at(1),
        expires_at: at(100),
    }
}

async fn signed_up(catalog: &Catalog, tenant: TenantId, email: &str) -> NewAccount {
    let account = account(tenant, email);
    catalog.sign_up(account.clone()).await.unwrap();
    account
}

pub(crate) async fn joined(catalog: &Catalog, email: &str, role: Role) -> Member {
    let invite = invite(TENANT, email, role);
    catalog.invite(invite.clone(), None).await.unwrap();
    let id = MemberId::from_bytes(bytes());
    catalog.accept_invite(invite.id, id, "$argon2id$", at(2)).await.unwrap().unwrap()
}

pub(crate) async fn an_invitation_is_accepted_once_and_in_time(database: &Database) {
    let catalog = database.open().await;
    let ann = signed_up(&catalog, TENANT, "ann@example.com").await;
    signed_up(&catalog, OTHER, "bob@example.com").await;
    let made = invite(TENANT, "eve@example.com", Role::Viewer);
    catalog.invite(made.clone(), None).await.unwrap();
    assert_eq!(catalog.invites(TENANT, at(99)).await.unwrap(), std::slice::from_ref(&made));
    assert_eq!(catalog.invites(OTHER, at(2)).await.unwrap(), []);
    assert_eq!(catalog.open_invite(&made.token_hash, at(99)).await.unwrap().as_ref(), Some(&made));
    assert_eq!(catalog.open_invite(&made.token_hash, at(100)).await.unwrap(), None);
    assert_eq!(catalog.open_invite(b"unknown", at(2)).await.unwrap(), None);
    let accept = async |seconds| {
        let id = MemberId::from_bytes(bytes());
        catalog.accept_invite(made.id, id, "$argon2id$", at(seconds)).await.unwrap()
    };
    assert_eq!(accept(100).await, None, "too late");
    let eve = accept(50).await.unwrap();
    assert_eq!((eve.tenant, &*eve.email, eve.role), (TENANT, "eve@example.com", Role::Viewer));
    assert_eq!(catalog.members(TENANT).await.unwrap(), [ann.owner, eve]);
    assert_eq!(accept(51).await, None, "used");
    assert_eq!(catalog.invites(TENANT, at(51)).await.unwrap(), []);
    // Whoever is a member already leaves the invitation as it is.
    let again = invite(TENANT, "eve@example.com", Role::Admin);
    catalog.invite(again.clone(), None).await.unwrap();
    let taken = catalog.accept_invite(again.id, MemberId::from_bytes(bytes()), "x", at(60)).await;
    assert!(matches!(taken, Err(Error::Exists { .. })), "{taken:?}");
    assert_eq!(catalog.invites(TENANT, at(60)).await.unwrap(), [again]);
}

pub(crate) async fn a_newer_invitation_replaces_the_older_and_only_its_tenant_withdraws_it(database: &Database) {
    let catalog = database.open().await;
    signed_up(&catalog, TENANT, "ann@example.com").await;
    signed_up(&catalog, OTHER, "bob@example.com").await;
    let elsewhere = invite(OTHER, "eve@example.com", Role::Viewer);
    let [older, newer] = [Role::Admin, Role::Member].map(|role| invite(TENANT, "eve@example.com", role));
    for invite in [&elsewhere, &older, &newer] {
        catalog.invite(invite.clone(), None).await.unwrap();
    }
    assert_eq!(catalog.invites(TENANT, at(2)).await.unwrap(), std::slice::from_ref(&newer));
    assert_eq!(catalog.open_invite(&older.token_hash, at(2)).await.unwrap(), None);
    assert!(!catalog.withdraw_invite(OTHER, newer.id).await.unwrap());
    assert!(catalog.withdraw_invite(TENANT, newer.id).await.unwrap());
    assert!(!catalog.withdraw_invite(TENANT, newer.id).await.unwrap());
    assert_eq!(catalog.invites(OTHER, at(2)).await.unwrap(), [elsewhere]);
}

pub(crate) async fn a_member_who_goes_takes_sessions_and_invitations_along(database: &Database) {
    let catalog = database.open().await;
    let ann = signed_up(&catalog, TENANT, "ann@example.com").await;
    let bob = joined(&catalog, "bob@example.com", Role::Admin).await;
    let token = refresh_token(&bob, "family");
    catalog.add_refresh_token(token.clone(), &bob.password_hash).await.unwrap();
    let by_bob = Invite { invited_by: Some(Actor::Member(bob.id)), ..invite(TENANT, "eve@example.com", Role::Admin) };
    let by_ann =
        Invite { invited_by: Some(Actor::Member(ann.owner.id)), ..invite(TENANT, "dan@example.com", Role::Admin) };
    for invite in [&by_bob, &by_ann] {
        catalog.invite(invite.clone(), None).await.unwrap();
    }
    for (tenant, role) in [(OTHER, Role::Admin), (TENANT, Role::Viewer)] {
        let refused = catalog.remove_member(tenant, bob.id, role).await.unwrap();
        assert_eq!(refused, MemberChange::NoSuchMember, "{tenant} {role:?}");
    }
    assert_eq!(catalog.remove_member(TENANT, bob.id, Role::Admin).await.unwrap(), MemberChange::Done(bob.clone()));
    assert_eq!(catalog.member(TENANT, bob.id).await.unwrap(), None);
    assert_eq!(catalog.use_refresh_token(&token.hash, at(3)).await.unwrap(), None);
    assert_eq!(catalog.invites(TENANT, at(3)).await.unwrap(), [by_ann]);
}

pub(crate) async fn the_last_owner_stays(database: &Database) {
    let catalog = database.open().await;
    let ann = signed_up(&catalog, TENANT, "ann@example.com").await.owner;
    let demote = catalog.change_role(TENANT, ann.id, Role::Owner, Role::Admin).await.unwrap();
    let remove = catalog.remove_member(TENANT, ann.id, Role::Owner).await.unwrap();
    assert_eq!((demote, remove), (MemberChange::LastOwner, MemberChange::LastOwner));
    let bob = joined(&catalog, "bob@example.com", Role::Admin).await;
    let owner = Member { role: Role::Owner, ..bob.clone() };
    let promoted = catalog.change_role(TENANT, bob.id, Role::Admin, Role::Owner).await.unwrap();
    assert_eq!(promoted, MemberChange::Done(owner));
    // Both want to leave the other with it.
    let (one, two) = tokio::join!(
        catalog.change_role(TENANT, ann.id, Role::Owner, Role::Viewer),
        catalog.remove_member(TENANT, bob.id, Role::Owner),
    );
    let refused = [one.unwrap(), two.unwrap()].iter().filter(|change| **change == MemberChange::LastOwner).count();
    assert_eq!(refused, 1);
    let members = catalog.members(TENANT).await.unwrap();
    assert_eq!(members.iter().filter(|member| member.role == Role::Owner).count(), 1);
}

pub(crate) async fn an_invitation_is_made_with_rights_that_its_maker_still_has(database: &Database) {
    let catalog = database.open().await;
    signed_up(&catalog, TENANT, "ann@example.com").await;
    signed_up(&catalog, OTHER, "zoe@example.com").await;
    let bob = joined(&catalog, "bob@example.com", Role::Viewer).await;
    let key = key(TENANT);
    catalog.add_key(key.clone()).await.unwrap();
    let by =
        |maker: Principal| Invite { invited_by: Some(maker.into()), ..invite(TENANT, "eve@example.com", Role::Viewer) };
    let was_admin = Principal::Member(bob.id, Role::Admin);
    let refused = catalog.invite(by(was_admin), Some(was_admin)).await;
    assert!(matches!(refused, Err(Error::Changed(_))), "{refused:?}");
    let elsewhere = Invite { tenant: OTHER, ..by(Principal::Key(key.id)) };
    assert!(matches!(catalog.invite(elsewhere, Some(Principal::Key(key.id))).await, Err(Error::Changed(_))));
    let made = by(Principal::Key(key.id));
    catalog.invite(made.clone(), Some(Principal::Key(key.id))).await.unwrap();
    assert_eq!(catalog.invites(TENANT, at(2)).await.unwrap(), [made]);
    catalog.revoke_key(TENANT, key.id, at(2)).await.unwrap();
    assert_eq!(catalog.invites(TENANT, at(2)).await.unwrap(), []);
    let refused = catalog.invite(by(Principal::Key(key.id)), Some(Principal::Key(key.id))).await;
    assert!(matches!(refused, Err(Error::Changed(_))), "{refused:?}");
    assert_eq!(catalog.invites(TENANT, at(2)).await.unwrap(), []);
}
