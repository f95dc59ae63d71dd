use std::time::Duration;

use serde_json::{Value, json};

use crate::house::{Answer, House, PASSWORD, text};

const DAY: Duration = Duration::from_secs(86_400);

impl House {
    async fn invite(&self, credential: &str, email: &str, role: &str) -> Answer {
        self.post("/v1/members/invites", credential, json!({"email": email, "role": role})).await
    }
    async fn accept(&self, token: &Value) -> Answer {
        let body = json!({"token": token, "password": PASSWORD});
        self.call("POST", "/v1/invites/accept", None, Some(body)).await
    }
    /// Invites somebody, and answers what accepting made.
    pub(crate) async fn join(&self, credential: &str, email: &str, role: &str) -> Value {
        let invite = self.invite(credential, email, role).await.data();
        self.accept(&invite["token"]).await.data()
    }
    pub(crate) async fn set_role(&self, credential: &str, member: &Value, role: &str) -> Answer {
        let path = format!("/v1/members/{}", text(&member["member"]["id"]));
        self.call("PATCH", &path, Some(credential), Some(json!({"role": role}))).await
    }
    pub(crate) async fn remove(&self, credential: &str, member: &Value) -> Answer {
        self.call("DELETE", &format!("/v1/members/{}", text(&member["member"]["id"])), Some(credential), None).await
    }
}

fn token(joined: &Value) -> String {
    text(&joined["access_token"])
}

#[tokio::test]
async fn whoever_accepts_is_a_member_in_the_role_they_were_invited_to() {
    let house = House::new().await;
    let ann = house.sign_up("ann@example.com").await;
    let answer = house.invite(&token(&ann), "Bob@Example.com", "viewer").await;
    assert_eq!((answer.status.as_u16(), &answer.headers["cache-control"]), (201, &"no-store".parse().unwrap()));
    let invite = answer.data();
    assert_eq!((&invite["email"], &invite["invited_by"]), (&json!("bob@example.com"), &ann["member"]["id"]));
    let listed = house.get("/v1/members/invites", &token(&ann)).await;
    assert!(!listed.body.to_string().contains(&text(&invite["token"])), "shown once");
    assert_eq!(listed.data()[0]["id"], invite["id"]);

    let bob = house.accept(&invite["token"]).await;
    assert_eq!((bob.status.as_u16(), &bob.headers["cache-control"]), (201, &"no-store".parse().unwrap()));
    let bob = bob.data();
    assert_eq!((&bob["tenant"], &bob["app"]), (&ann["tenant"], &ann["app"]));
    assert_eq!(house.get("/v1/me", &token(&bob)).await.data()["scopes"], json!(["read"]));
    assert_eq!(house.log_in("bob@example.com", PASSWORD).await.status, 200);
    assert_eq!(house.get("/v1/members/invites", &token(&ann)).await.data(), json!([]));
    let members = house.get("/v1/members", &token(&ann)).await.data();
    assert_eq!((&members[0]["role"], &members[1]["role"]), (&json!("owner"), &json!("viewer")));
    let one = house.get(&format!("/v1/members/{}", text(&bob["member"]["id"])), &token(&ann)).await.data();
    assert_eq!(one, members[1]);
    assert!(!members.to_string().contains("argon2"));
    let again = house.invite(&token(&ann), "bob@example.com", "admin").await;
    assert_eq!(again.refusal(), (409, "conflict"));
}

#[tokio::test]
async fn an_invitation_works_once_for_seven_days_unless_replaced_or_withdrawn() {
    let house = House::new().await;
    let ann = house.owner().await;
    let over = |answer: Answer| assert_eq!(answer.refusal(), (404, "not_found"));

    let used = house.invite(&ann, "bob@example.com", "member").await.data();
    let short = json!({"token": used["token"], "password": "short"});
    let refused = house.call("POST", "/v1/invites/accept", None, Some(short)).await;
    assert_eq!(refused.refusal(), (400, "invalid_request_body"), "and it is not used up");
    assert_eq!(house.accept(&used["token"]).await.status, 201);
    over(house.accept(&used["token"]).await);

    let late = house.invite(&ann, "eve@example.com", "member").await.data();
    house.clock.advance(7 * DAY - Duration::from_secs(1));
    let ann = text(&house.log_in("ann@example.com", PASSWORD).await.data()["access_token"]);
    assert_eq!(house.get("/v1/members/invites", &ann).await.data()[0]["id"], late["id"]);
    house.clock.advance(Duration::from_secs(1));
    over(house.accept(&late["token"]).await);
    assert_eq!(house.get("/v1/members/invites", &ann).await.data(), json!([]));

    let older = house.invite(&ann, "eve@example.com", "admin").await.data();
    let newer = house.invite(&ann, "eve@example.com", "viewer").await.data();
    over(house.accept(&older["token"]).await);
    let path = format!("/v1/members/invites/{}", text(&newer["id"]));
    let bob = text(&house.sign_up("carl@example.com").await["access_token"]);
    over(house.call("DELETE", &path, Some(&bob), None).await);
    assert_eq!(house.call("DELETE", &path, Some(&ann), None).await.status, 204);
    over(house.call("DELETE", &path, Some(&ann), None).await);
    over(house.accept(&newer["token"]).await);
    over(house.accept(&json!("aos_invite_guess")).await);
}

#[tokio::test]
async fn nobody_gives_or_takes_a_role_above_their_own() {
    let house = House::new().await;
    let ann = house.sign_up("ann@example.com").await;
    let owner = token(&ann);
    let admin = token(&house.join(&owner, "admin@example.com", "admin").await);
    let viewer = house.join(&owner, "viewer@example.com", "viewer").await;
    let narrow = json!({"name": "x", "kind": "workspace", "scopes": ["admin", "read"]});
    let narrow = text(&house.post("/v1/api-keys", &owner, narrow).await.data()["key"]);
    let wide = json!({"name": "x", "kind": "workspace", "scopes": ["ingest", "read", "export", "score", "admin"]});
    let wide = text(&house.post("/v1/api-keys", &owner, wide).await.data()["key"]);

    for (who, role, status) in [
        (&owner, "owner", 201),
        (&admin, "owner", 403),
        (&admin, "admin", 201),
        (&wide, "owner", 403),
        (&wide, "admin", 201),
        (&narrow, "admin", 403),
        (&narrow, "member", 403),
        (&narrow, "viewer", 201),
        (&owner, "king", 400),
    ] {
        assert_eq!(house.invite(who, "new@example.com", role).await.status, status, "{role}");
    }
    for who in [&admin, &wide] {
        assert_eq!(house.set_role(who, &viewer, "owner").await.refusal(), (403, "forbidden"));
        assert_eq!(house.set_role(who, &ann, "viewer").await.refusal(), (403, "forbidden"));
        assert_eq!(house.remove(who, &ann).await.refusal(), (403, "forbidden"));
    }
    for (call, path) in [("GET", "/v1/members"), ("GET", "/v1/members/invites")] {
        assert_eq!(house.call(call, path, Some(&token(&viewer)), None).await.refusal(), (403, "forbidden"));
    }
}

#[tokio::test]
async fn the_last_owner_is_neither_removed_nor_demoted() {
    let house = House::new().await;
    let ann = house.sign_up("ann@example.com").await;
    let owner = token(&ann);
    assert_eq!(house.set_role(&owner, &ann, "admin").await.refusal(), (409, "conflict"));
    assert_eq!(house.remove(&owner, &ann).await.refusal(), (409, "conflict"));
    let bob = house.join(&owner, "bob@example.com", "member").await;
    assert_eq!(house.set_role(&owner, &bob, "owner").await.data()["role"], "owner");
    assert_eq!(house.set_role(&token(&bob), &ann, "viewer").await.status, 200);
    assert_eq!(house.set_role(&token(&bob), &bob, "viewer").await.refusal(), (409, "conflict"));
}

#[tokio::test]
async fn a_role_change_and_a_removal_bite_at_once_where_they_are_made() {
    let house = House::new().await;
    let owner = house.owner().await;
    let bob = house.join(&owner, "bob@example.com", "admin").await;
    assert_eq!(house.get("/v1/api-keys", &token(&bob)).await.status, 200);
    let pending = house.invite(&token(&bob), "eve@example.com", "admin").await.data();
    assert_eq!(house.set_role(&owner, &bob, "viewer").await.status, 200);
    assert_eq!(house.get("/v1/api-keys", &token(&bob)).await.refusal(), (403, "forbidden"));
    assert_eq!(house.get("/v1/me", &token(&bob)).await.data()["member"]["role"], "viewer");
    assert_eq!(house.accept(&pending["token"]).await.status, 404, "what he invited to with rights he lost");

    assert_eq!(house.remove(&owner, &bob).await.status, 204);
    assert_eq!(house.get("/v1/me", &token(&bob)).await.refusal(), (401, "unauthenticated"));
    assert_eq!(house.refresh(&bob["refresh_token"]).await.refusal(), (401, "unauthenticated"));
    assert_eq!(house.log_in("bob@example.com", PASSWORD).await.refusal(), (401, "unauthenticated"));
    assert_eq!(house.remove(&owner, &bob).await.refusal(), (404, "not_found"));
    house.join(&owner, "bob@example.com", "member").await;
}

#[tokio::test]
async fn another_tenants_members_are_not_found_like_those_that_never_were() {
    let house = House::new().await;
    let ann = house.sign_up("ann@example.com").await;
    let bob = token(&house.sign_up("bob@example.com").await);
    let never = json!({"member": {"id": "00000000-0000-7000-8000-000000000001"}});
    let foreign = house.set_role(&bob, &ann, "viewer").await;
    assert_eq!(foreign.refusal(), (404, "not_found"));
    assert_eq!(foreign.body, house.set_role(&bob, &never, "viewer").await.body);
    assert_eq!(house.remove(&bob, &ann).await.body, house.remove(&bob, &never).await.body);
    assert_eq!(house.get("/v1/members", &bob).await.data().as_array().unwrap().len(), 1);
    assert_eq!(house.get("/v1/me", &token(&ann)).await.data()["member"]["role"], "owner");
}

#[tokio::test]
async fn a_person_in_two_tenants_has_a_password_and_a_role_for_each() {
    let house = House::new().await;
    let owner = house.owner().await;
    let bob = house.sign_up("bob@example.com").await;
    let joined = house.join(&owner, "bob@example.com", "viewer").await;
    let log_in = json!({"email": "bob@example.com", "password": PASSWORD, "tenant_id": joined["tenant"]["id"]});
    let there = house.call("POST", "/v1/login", None, Some(log_in)).await.data();
    assert_eq!(house.get("/v1/me", &token(&there)).await.data()["scopes"], json!(["read"]));
    let own = house.log_in("bob@example.com", PASSWORD).await.data();
    assert_eq!(house.get("/v1/me", &token(&own)).await.data()["tenant"], bob["tenant"]);
    house.set_role(&owner, &joined, "owner").await.data();
    assert_eq!(house.get("/v1/me", &token(&there)).await.data()["member"]["role"], "owner");
}
