//! The catalog's conformance suite: every guarantee is one async function, held against SQLite and against Postgres.

#![expect(clippy::unwrap_used, reason = "all of this is test code; clippy sees it only inside the test functions")]

mod accounts;
mod audit;
mod database;
mod deleted;
mod erasures;
mod exports;
mod files;
mod jobs;
mod people;
mod races;
mod samples;
mod schema;
mod sessions;
mod sqlite_file;
mod tenancy;

/// Makes a test of each guarantee for each database. The runtime has several threads: the races are real.
macro_rules! guarantees {
    ($($subject:ident { $($guarantee:ident,)+ })+) => {
        mod sqlite {
            $(mod $subject { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $guarantee() {
                    let database = crate::database::Database::sqlite();
                    crate::$subject::$guarantee(&database).await;
                    database.remove().await;
                }
            )+ })+
        }
        mod postgres {
            $(mod $subject { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $guarantee() {
                    let database = crate::database::Database::postgres().await;
                    crate::$subject::$guarantee(&database).await;
                    database.remove().await;
                }
            )+ })+
        }
    };
}

guarantees! {
    accounts {
        what_signs_up_is_read_back,
        a_tenants_own_prices_are_in_its_snapshots,
        sign_up_makes_all_or_nothing,
        an_email_signs_up_once_while_it_owns_that_tenant,
        whoever_was_made_an_owner_elsewhere_signs_up_all_the_same,
        a_person_finds_the_tenants_they_are_in_their_own_first,
        a_name_is_taken_once,
        what_another_tenant_owns_is_not_found,
        nothing_hangs_on_another_tenants_rows,
        a_key_reads_back_whole,
        another_tenants_key_is_neither_listed_nor_revoked,
        revoking_twice_keeps_the_first_time,
        the_last_use_only_moves_forward,
        a_refresh_token_used_twice_is_seen_as_used,
        a_family_is_dropped_whole,
    }
    deleted {
        a_rename_keeps_the_id_and_takes_no_name_twice,
        what_is_deleted_is_gone_with_all_that_hangs_on_it,
        what_is_added_to_a_deleted_app_or_agent_opens_nothing,
        a_rotation_stores_the_successor_and_ends_the_old_key_or_does_nothing,
        rows_of_a_deleted_app_are_erased_once_no_writer_can_hold_any,
    }
    files {
        a_commit_moves_files_and_watermark_together,
        a_commit_asked_twice_changes_nothing,
        a_fenced_writer_cannot_commit,
        a_retired_lease_cannot_commit,
        a_stranger_cannot_commit,
        a_failed_commit_leaves_nothing,
        a_misfiled_file_is_refused,
        versions_rise_per_tenant_and_table,
        a_writer_that_does_not_know_the_newest_files_cannot_commit,
        what_came_since_a_version_is_listed_also_when_merged,
        a_file_that_replaces_rows_is_in_every_snapshot_of_its_day,
        a_snapshot_holds_the_tenants_files_that_touch_the_range,
        all_of_time_can_be_asked_for,
        superseded_keys_survive,
        a_day_lists_its_live_files_in_order,
        a_replacement_is_all_or_nothing,
        only_the_tenants_own_files_can_be_replaced,
        a_replaced_file_is_removable_only_after_lingering,
        a_live_file_is_never_forgotten,
        a_retired_writer_vanishes_from_the_snapshot,
        a_returning_writer_finds_its_watermarks,
    }
    jobs {
        days_with_the_most_files_come_first,
        files_of_final_size_make_no_day_worth_a_look,
        a_settled_day_comes_again_only_with_new_files,
        a_large_file_of_a_day_that_is_over_is_wanted_alone,
        a_day_that_is_over_is_finished_once,
        a_day_belongs_to_one_until_its_lease_ends,
        a_day_that_failed_waits_and_counts,
        of_racing_claims_one_wins,
        a_walk_belongs_to_one_and_goes_on_where_it_was,
        only_files_that_no_row_names_are_unknown,
        a_condemned_file_can_never_be_committed,
    }
    erasures {
        an_erasure_is_in_every_later_snapshot_of_its_tenant,
        an_erasure_hides_until_it_is_rewritten_and_is_proof_for_ever,
        tenants_wait_in_the_order_they_asked,
        a_crowd_of_erasures_is_refused_for_now,
        the_proof_names_every_file_that_rows_were_taken_from,
        a_lost_race_leaves_neither_file_nor_note,
        an_erasure_is_finished_when_the_files_it_emptied_are_deleted,
        rows_are_kept_as_long_as_their_tenant_says,
        a_snapshot_of_any_range_holds_the_erasures,
    }
    exports {
        an_export_reads_back_whole_and_for_its_tenant_only,
        an_export_belongs_to_one_until_its_lease_ends,
        an_export_that_was_abandoned_is_told_from_one_that_was_given_back,
        who_has_exports_running_waits_for_those_who_have_none,
        what_a_running_export_may_read_is_not_removed,
        a_run_ends_once_with_its_manifest,
        a_scheduled_export_goes_on_where_it_was,
        a_failed_run_waits_counts_and_is_given_up_when_told,
        a_cancelled_export_is_lost_to_whoever_works_on_it,
        a_crowd_of_exports_is_refused_for_now,
        a_paused_schedule_goes_on_when_it_is_resumed_and_anew_when_it_missed_an_erasure,
        a_list_of_erasures_that_grows_too_long_becomes_everything,
        an_agents_schedule_hears_of_what_the_agent_had,
        of_racing_exporters_one_gets_the_export,
        each_erasure_is_told_to_each_schedule_it_concerns_until_it_was_told,
    }
    people {
        an_invitation_is_accepted_once_and_in_time,
        a_newer_invitation_replaces_the_older_and_only_its_tenant_withdraws_it,
        a_member_who_goes_takes_sessions_and_invitations_along,
        the_last_owner_stays,
        an_invitation_is_made_with_rights_that_its_maker_still_has,
    }
    audit {
        what_is_changed_by_somebody_is_on_record_with_what_was_before,
        a_rotation_and_new_prices_are_on_record_as_they_were_and_are,
        every_kind_of_change_is_on_record_once,
        what_did_not_happen_is_not_on_record,
        racing_changes_make_one_chain,
        deeds_are_links_of_the_same_chain_of_a_tenant_that_is_there,
        a_record_that_was_tampered_with_shows_it,
    }
    sessions {
        a_lost_answer_is_given_again_while_its_token_was_not_used,
        a_token_whose_successor_is_in_use_is_not_exchanged_again,
        of_racing_exchanges_one_successor_lives,
        a_changed_password_ends_sessions_and_links,
        a_login_under_way_does_not_outlive_the_password,
        no_session_that_begins_or_goes_on_meanwhile_outlives_its_end,
        a_reset_link_works_once_and_in_time_and_the_newest_counts,
        a_reset_link_ends_with_the_role_of_its_member_and_of_its_maker,
        a_link_that_a_revoked_key_made_opens_nothing,
        of_a_reset_and_a_change_of_role_that_race_only_the_first_lets_in,
        what_has_ended_is_deleted_a_day_later,
    }
    tenancy {
        limits_are_set_and_read_back,
        what_a_tenant_holds_is_counted_without_what_is_gone,
        rows_are_counted_once_on_the_day_they_were_written,
        changes_are_heard_of_in_their_order,
        a_tenant_with_very_many_keys_is_told_of_whole,
        a_racing_change_is_never_skipped,
        a_closed_tenant_is_gone_at_once_and_its_files_expire,
        nothing_is_left_of_a_closed_tenant_in_any_table,
        whoever_is_removed_takes_their_reset_link_along,
    }
    races {
        racing_sign_ups_make_one_tenant,
        racing_users_see_a_refresh_token_unused_once,
        racing_registrations_get_different_epochs,
        concurrent_commits_get_different_versions,
        one_commit_asked_for_by_many_happens_once,
        of_two_racing_replacements_one_wins,
        a_snapshot_never_sees_a_watermark_without_its_file,
        a_snapshot_never_sees_half_a_replacement,
    }
    schema {
        opening_again_keeps_everything,
        many_may_open_an_up_to_date_catalog_at_once,
        a_newer_schema_is_taken_as_it_is,
        a_broken_row_is_reported_and_not_guessed,
        a_closed_catalog_answers_that_it_is_away,
    }
}
