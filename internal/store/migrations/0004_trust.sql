-- Trusted CAs with their revocation lists, and the certificates of accounts.

create table ca (
    id         text    primary key, -- drawn from listener, family and certificate
    listener   text    not null,    -- '' = all
    family     text    not null,    -- '' = all
    name       text    not null,
    der        blob    not null,
    crl        blob,                -- DER; null = none
    crl_url    text    not null,
    ocsp       text    not null check (ocsp in ('', 'soft', 'required')),
    ocsp_url   text    not null,
    any_usage  integer not null,
    created_at integer not null,
    updated_at integer not null,
    node       text    not null,
    epoch      integer not null
) strict;

-- Parent row of the number of CAs.
insert into counter (name, value) values ('cas', 0);

-- The parent row of the number of these is the account's.
create table account_certificate (
    fingerprint blob    primary key, -- SHA-256 of der
    account_id  text    not null references account (id) on delete cascade,
    der         blob    not null,
    created_at  integer not null,
    node        text    not null,
    epoch       integer not null
) strict;

create index account_certificate_account on account_certificate (account_id);
