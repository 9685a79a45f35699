-- Times are integers: nanoseconds since 1970 UTC, passed in by the caller.
-- Every table that can change at run time names the node and epoch that wrote
-- the row last; every change leaves a row in outbox.

create table counter (
    name  text    primary key,
    value integer not null
) strict;

insert into counter (name, value) values ('outbox', 0), ('administrators', 0);

create table outbox (
    seq   integer primary key,
    kind  text    not null,
    key   text    not null,
    at    integer not null,
    node  text    not null,
    epoch integer not null
) strict;

create table node (
    name       text    primary key,
    epoch      integer not null,
    started_at integer not null
) strict;

create table account (
    id             text    primary key,
    name           text    not null unique,
    role           text    not null,
    password_hash  text    not null,
    enabled        integer not null,
    version        integer not null, -- raised by each change of password, role or state
    session_serial integer not null, -- parent row of the limit: raised by each new session
    created_at     integer not null,
    updated_at     integer not null,
    node           text    not null,
    epoch          integer not null
) strict;

create table listener (
    name           text    primary key,
    session_serial integer not null
) strict;

create table session (
    id           text    primary key,
    token_hash   blob    not null unique,
    account_id   text    not null references account (id) on delete cascade,
    listener     text    not null references listener (name),
    source       text    not null,
    context      text    not null,
    created_at   integer not null,
    last_used_at integer not null,
    idle         integer not null, -- nanoseconds
    expires_at   integer not null, -- 0 = no absolute end
    node         text    not null,
    epoch        integer not null
) strict;

create index session_account on session (account_id);
create index session_listener on session (listener);

create table target (
    name              text    primary key,
    family            text    not null,
    profile           text    not null,
    url               text    not null,
    ca_pem            text    not null,
    pin               text    not null,
    account           text    not null,
    secret_sealed     blob,             -- null where the secret is a reference
    secret_source     text    not null, -- '', 'file:PATH', 'env:NAME', 'command:LINE'
    method            text    not null,
    budget            integer not null, -- 0 = the profile's value
    in_flight         integer not null, -- 0 = the default
    exclusive         integer not null,
    lockout_threshold integer not null, -- 0 = unknown
    lockout_window    integer not null, -- nanoseconds, 0 = unknown
    address           text    not null, -- the listener's address, '' = a free loopback port
    origin            text    not null, -- 'file' or 'command'
    created_at        integer not null,
    updated_at        integer not null,
    node              text    not null,
    epoch             integer not null
) strict;

-- What was learned from a device, kept for its URL.
create table device_fact (
    url        text    primary key,
    no_nonce   integer not null, -- refuses a login that carries a nonce
    keeps_nonce integer not null, -- shows the nonce of a session in its listing
    idle       integer not null, -- nanoseconds, 0 = unknown
    updated_at integer not null
) strict;

-- Parent row of the budget of one device.
create table lease_budget (
    domain text    primary key,
    serial integer not null
) strict;

create table lease (
    id           text    primary key, -- also the nonce left at the device
    target       text    not null,
    domain       text    not null references lease_budget (domain),
    family       text    not null,
    url          text    not null,    -- url, ca and pin stay, so that the leases of a
    ca_pem       text    not null,    -- removed target can still be ended
    pin          text    not null,
    account      text    not null,
    secret_hash  blob    not null,    -- keyed hash of the password it was opened with
    state        text    not null check (state in ('intent', 'held', 'ending', 'owed', 'ended')),
    reason       text    not null,
    location     text    not null,
    device_id    text    not null,
    token_sealed blob,
    idle         integer not null,    -- the device's idle timeout in nanoseconds
    device_date  integer not null,
    created_at   integer not null,
    last_used_at integer not null,
    updated_at   integer not null,
    node         text    not null,
    epoch        integer not null
) strict;

create index lease_open on lease (domain) where state <> 'ended';

-- Parent row of the failed-login allowance of one account at one device.
create table login_account (
    domain  text    not null,
    account text    not null,
    serial  integer not null,
    primary key (domain, account)
) strict;

create table login_secret (
    domain      text    not null,
    account     text    not null,
    secret_hash blob    not null,
    proven      integer not null,
    refused     integer not null, -- refusals since the last acceptance
    refused_at  integer not null, -- the last one
    unknown     integer not null, -- lost answers since the last acceptance, while unproven
    primary key (domain, account, secret_hash)
) strict;

create table login_attempt (
    id          text    primary key,
    domain      text    not null,
    account     text    not null,
    secret_hash blob    not null,
    outcome     text    not null check (outcome in ('pending', 'accepted', 'not judged', 'refused', 'unknown')),
    counts      integer not null, -- the device may have counted it as a failed login
    reserved_at integer not null,
    settled_at  integer not null,
    node        text    not null,
    epoch       integer not null
) strict;

create index login_attempt_account on login_attempt (domain, account, reserved_at);
