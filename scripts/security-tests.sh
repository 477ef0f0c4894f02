#!/usr/bin/env bash
# Attacks, the tests that make them, and how those ended.
#
#   scripts/security-tests.sh [--scenario=NAME] [--list]
#   scripts/security-tests.sh --scan=dependency-vulnerabilities|code-security|container-vulnerabilities
#
# Scans: `dependency-vulnerabilities` asks cargo-deny for advisories about what is built in (fetched from the network),
# and for banned crates, licences and sources; `code-security` runs the lints (unsafe code is forbidden) and the rules of
# tests/tidy.rs; `container-vulnerabilities` builds the image (scripts/build-image.sh) and has trivy or grype, whichever is
# installed, look for known vulnerabilities in it.
# Scenarios: authentication, authorization, webhook-validation, secrets-management, input, network. Without one all of
# them run. A test that is named here and not found counts as failed. Exits 0 if every attack was repelled, 1 if not,
# 2 for wrong arguments. Needs cargo and git.
set -euo pipefail
cd "$(dirname "$0")/.."

scenarios=(authentication authorization webhook-validation secrets-management input network)
scans=(dependency-vulnerabilities code-security container-vulnerabilities)
wanted=
list=
usage() {
  echo "$1" >&2
  echo "usage: scripts/security-tests.sh [--scenario=NAME] [--list] | --scan=NAME" >&2
  echo "scenarios: ${scenarios[*]}; scans: ${scans[*]}" >&2
  exit 2
}
for argument in "$@"; do
  case $argument in
    --scenario=*)
      wanted=${argument#*=}
      [[ " ${scenarios[*]} " == *" $wanted "* ]] || usage "unknown scenario: $wanted"
      ;;
    --scan=dependency-vulnerabilities) exec cargo deny check ;;
    --scan=code-security)
      cargo clippy --locked --all-targets -- -D warnings
      exec cargo test --locked --test tidy
      ;;
    --scan=container-vulnerabilities)
      scanner=$(command -v trivy || command -v grype) || { echo "trivy or grype has to be installed" >&2; exit 1; }
      archive=$(mktemp -u --suffix=.tar)
      trap 'rm -f "$archive"' EXIT
      scripts/build-image.sh --archive="$archive"
      case $scanner in
        *trivy) trivy image --input "$archive" --severity HIGH,CRITICAL --ignore-unfixed --exit-code 1 ;;
        *grype) grype "docker-archive:$archive" --only-fixed --fail-on high ;;
      esac
      exit
      ;;
    --scan=*) usage "unknown scan: ${argument#*=}" ;;
    --list) list=yes ;;
    *) usage "unknown argument: $argument" ;;
  esac
done

# scenario | attack | test binary (`lib` for the library's own) | test
table() {
  cat <<'TABLE'
webhook-validation | spoofed: no, wrong, cut, SHA-1 or doubled signature | http | webhooks::what_is_not_rightly_signed_is_refused_before_it_is_read
webhook-validation | the same signed body again | http | webhooks::a_signed_push_is_stored_and_the_same_again_changes_nothing
webhook-validation | the same push by another delivery | grpc | once::another_delivery_of_the_same_push_is_the_same_event
webhook-validation | the secret of one customer, the repository of another; old and new secret | http | webhooks::a_secret_counts_for_its_own_source_and_repository
webhook-validation | a signed body that is no push | http | webhooks::what_is_signed_and_makes_no_sense_is_kept_and_told
authentication | no token, an unknown one, two, another scheme | http | access::without_a_known_token_nothing_is_told
authentication | each operation without a token | http | openapi::what_needs_a_login_says_so
authentication | tokens: alg none, public key as secret, wrong key, audience, issuer, times, ID and opaque ones | http | oidc::a_token_that_is_wrong_in_any_way_is_refused_with_the_reason
authentication | made-up keys to make us flood the provider | http | oidc::keys_that_the_provider_changes_are_found
authentication | a provider that is away, or speaks for another | http | oidc::a_provider_that_is_away_is_no_reason_to_let_anybody_in_or_to_call_a_token_wrong
authentication | writes by a page of somebody else (CSRF) | http | login::who_logs_in_may_do_what_the_groups_allow_until_logging_out
authentication | a login that another browser began, a code twice, another nonce | http | login::a_login_that_this_browser_did_not_begin_is_worth_nothing
authentication | a login that leads elsewhere | lib | http::login::tests::a_login_leads_to_this_server_alone
authentication | made-up cookies; cookies in the database | http | login::a_made_up_cookie_is_no_login_and_the_database_holds_none
authentication | certificates of other authorities and names | http | tls::a_caller_is_known_by_a_certificate_of_the_authority_and_by_no_other
authentication | no certificate where one is required | http | tls::without_a_certificate_nobody_gets_in_where_one_is_required
authentication | the command line's login for another server, by another name, in another place, readable by others | http | device::a_kept_login_is_sent_to_its_own_server_alone
authentication | a server that has the command line log in over plaintext | http | device::a_server_without_a_login_for_the_command_line_says_what_to_do
authentication | a refresh token by two commands at once | http | device::commands_that_run_at_once_ask_for_one_new_token_among_them
authentication | the client: another authority, no certificate, keys that others may read | http | tls::the_command_line_trusts_the_authority_that_is_named_and_shows_its_own_certificate
authentication | gRPC: certificates of other authorities and names, a wrong token beside a right one | grpc | certificates::a_known_certificate_is_a_credential_and_covers_its_own_alone
authentication | gRPC without the right token | grpc | access::without_the_right_token_nothing_is_answered_and_nothing_stored
authentication | a web page of somebody else asks a local server | http | frame::a_web_page_of_somebody_else_gets_nothing_from_a_local_server
authorization | a role with another customer | http | access::a_role_is_needed_with_the_very_customer
authorization | asking for the own approval | http | access::who_asked_for_a_deployment_does_not_approve_it
authorization | enumeration of customers by the answer | http | access::an_unknown_customer_and_an_invisible_one_cannot_be_told_apart
authorization | lists, counts and events of others | http | access::lists_hold_nothing_of_other_customers
authorization | the stream of others | http | stream::a_stream_tells_of_visible_customers_only
authorization | a sensor speaks for another customer | http | webhooks::a_sensor_with_a_token_speaks_for_its_own_customers
authorization | gRPC: a token of one customer, the resource of another | grpc | access::a_token_covers_its_own_customers_and_sources_only
authorization | gRPC: a push reaches other customers | grpc | access::a_push_with_a_customers_token_reaches_that_customer_alone
authorization | gRPC: names of other sources in errors | grpc | access::a_limited_token_learns_nothing_of_other_sources
secrets-management | canaries of webhooks in logs, answers and the database | http | webhooks::secrets_are_neither_stored_nor_told
secrets-management | canaries of the trigger | grpc | access::a_token_is_neither_stored_nor_told
secrets-management | credentials of repositories in arguments | lib | adapters::git::remote::tests::credentials_are_neither_shown_nor_given_as_arguments
secrets-management | secrets in errors of the configuration | cli | serve::a_wrong_configuration_is_refused_with_its_place_and_without_its_secrets
secrets-management | the client: a token for another server, by a redirect or in plaintext | http | client::a_token_goes_to_no_other_server
secrets-management | the client: a token file that others may read | http | client::a_token_says_who_asks_and_a_file_that_others_may_read_is_none
input | a huge body, with and without its length | http | frame::a_body_that_is_too_large_is_refused_before_it_is_read
input | a body that never ends | http | frame::a_body_without_a_length_is_cut_at_the_limit
input | gRPC: a message over the limit | grpc | transport::a_message_over_the_limit_is_refused_and_the_connection_lives
input | YAML bombs | lib | domain::yaml::tests::bombs_are_refused_in_no_time
input | YAML that makes a parser panic | lib | domain::values::hostile_tests::no_yaml_like_text_makes_it_panic
input | graph bombs: a chain and a ring of a million | lib | domain::dag::tests::a_chain_of_a_million_and_a_ring_of_as_many_overflow_nothing
input | graph bombs: the largest tangle | lib | domain::graph::tests::the_largest_tangle_that_limits_allow_is_reported_in_bounded_work
input | names with quotes, line ends, templates, Unicode | lib | domain::names::tests::names_are_dns_labels
input | SQL and wildcards in a search | lib | store::tests::http::an_overview_is_searched_by_name_and_by_state
input | whatever else, to every operation | http | openapi::every_route_answers_as_documented
input | terminal codes in messages | lib | domain::diagnostic::tests::quoted_text_cannot_steer_a_terminal
input | terminal codes from a server | http | client::what_is_wrong_with_the_input_is_told_as_without_a_server
input | links out of a repository | lib | adapters::git::tests::links_are_listed_but_never_read_or_followed
input | paths and refs that lead elsewhere, or are options of git | lib | adapters::git::tests::paths_and_refs_that_lead_elsewhere_are_refused
network | plaintext or no tokens on another address than loopback | cli | serve::an_address_for_others_needs_encryption_and_tokens
network | a head that never ends (slow loris) | http | frame::a_head_that_never_ends_is_not_waited_for
network | too many requests | http | frame::too_many_requests_at_once_are_refused_and_said_to_come_again
network | too many streams | http | stream::only_so_many_streams_are_open_at_once
network | too many requests of one address | lib | http::limits::tests::one_address_cannot_use_up_what_others_may_send
network | a certificate that changes, and one that is wrong | http | tls::a_certificate_that_changes_is_shown_from_the_next_connection_on
authorization | plans of a customer of somebody else | http | plans::what_cannot_be_planned_is_told_with_its_place
authorization | changes that leave no trace | http | audit::who_asked_for_what_is_told_with_its_before_and_after
input | formulas in what spreadsheets open | lib | cli::audit::tests::no_cell_is_a_formula
network | repositories by ext::, file:// and the like | lib | adapters::git::remote::tests::only_https_ssh_and_allowed_files_are_addresses
network | a health check of an address that is no service's | lib | adapters::probe::tests::an_address_that_is_refused_is_never_connected_to
network | a health check that redirects | lib | adapters::probe::tests::a_redirect_is_not_followed
TABLE
}

chosen() { table | while IFS='|' read -r scenario rest; do
  if [[ -z $wanted || ${scenario// /} == "$wanted" ]]; then echo "$scenario|$rest"; fi
done; }

if [[ -n $list ]]; then
  chosen
  exit 0
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0
for binary in lib http grpc cli; do
  mapfile -t tests < <(chosen | awk -F'|' -v binary="$binary" '{ gsub(/ /, "", $3); gsub(/ /, "", $4) } $3 == binary { print $4 }')
  ((${#tests[@]})) || continue
  target=(--test "$binary")
  [[ $binary == lib ]] && target=(--lib)
  cargo test --locked "${target[@]}" -- --exact "${tests[@]}" 2>&1 | tee -a "$log" | grep -E "^(error|warning: unused)" || true
done

printf '%-20s %-75s %-8s %s\n' SCENARIO ATTACK RESULT TEST
while IFS='|' read -r scenario attack binary test; do
  test=${test// /}
  result=$(awk -v test="$test" '$1 == "test" && $2 == test { result = $NF } END { print result == "" ? "absent" : result }' "$log")
  [[ $result == ok ]] || failed=1
  printf '%-20s %-75s %-8s %s\n' "${scenario// /}" "$(sed "s,^ *,,; s, *$,," <<<"$attack")" "$result" "${binary// /}: $test"
done < <(chosen)
exit $failed
