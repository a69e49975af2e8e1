<?php
// A small sabre/dav 1.8 server for the live tests: Digest, SQLite, calendars, rights; users alice and bob, whose
// password is in $PASSWORD_FILE. Run by `php -S`, which calls this file for every request; with the argument
// `prepare` it makes the database at $DATABASE instead.
declare(strict_types=1);

// sabre/dav 1.8 is older than PHP 8 and deprecated in many places.
error_reporting(E_ALL & ~E_DEPRECATED & ~E_WARNING & ~E_NOTICE);
ini_set('display_errors', '0');
date_default_timezone_set('UTC');
require_once 'Sabre/autoload.php';

const REALM = 'SabreDAV';

// The columns are those that Sabre\CalDAV\Backend\PDO, DAVACL\PrincipalBackend\PDO and DAV\Auth\Backend\PDO name.
const TABLES = [
    'CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, digesta1 TEXT)',
    'CREATE TABLE principals (id INTEGER PRIMARY KEY, uri TEXT UNIQUE, email TEXT, displayname TEXT, vcardurl TEXT)',
    'CREATE TABLE groupmembers (id INTEGER PRIMARY KEY, principal_id INTEGER, member_id INTEGER)',
    'CREATE TABLE calendars (id INTEGER PRIMARY KEY, principaluri TEXT, displayname TEXT, uri TEXT, ctag INTEGER,
        description TEXT, calendarorder INTEGER, calendarcolor TEXT, timezone TEXT, components TEXT, transparent BOOL)',
    'CREATE TABLE calendarobjects (id INTEGER PRIMARY KEY, calendardata BLOB, uri TEXT, calendarid INTEGER,
        lastmodified INTEGER, etag TEXT, size INTEGER, componenttype TEXT, firstoccurence INTEGER,
        lastoccurence INTEGER)',
    // Without it each request reads the objects of all calendars.
    'CREATE INDEX objects ON calendarobjects (calendarid, uri)',
];

function prepare(PDO $database, string $password): void
{
    foreach (TABLES as $table) {
        $database->exec($table);
    }
    $user = $database->prepare('INSERT INTO users (username, digesta1) VALUES (?, ?)');
    $principal = $database->prepare('INSERT INTO principals (uri, email, displayname) VALUES (?, ?, ?)');
    $calendar = $database->prepare(
        "INSERT INTO calendars (principaluri, displayname, uri, ctag, components, transparent)
         VALUES (?, 'Work', 'work', 1, 'VEVENT,VTODO', 0)"
    );
    foreach (['alice', 'bob'] as $name) {
        $user->execute([$name, md5("$name:" . REALM . ":$password")]);
        $principal->execute(["principals/$name", "$name@example.org", ucfirst($name)]);
        foreach (['calendar-proxy-read', 'calendar-proxy-write'] as $proxy) {
            $principal->execute(["principals/$name/$proxy", null, null]);
        }
        $calendar->execute(["principals/$name"]);
    }
}

function serve(PDO $database): void
{
    $principals = new Sabre\DAVACL\PrincipalBackend\PDO($database);
    $calendars = new Sabre\CalDAV\Backend\PDO($database);
    $server = new Sabre\DAV\Server([
        new Sabre\CalDAV\Principal\Collection($principals),
        new Sabre\CalDAV\CalendarRootNode($principals, $calendars),
    ]);
    $server->setBaseUri('/');
    $server->addPlugin(new Sabre\DAV\Auth\Plugin(new Sabre\DAV\Auth\Backend\PDO($database), REALM));
    $server->addPlugin(new Sabre\DAVACL\Plugin());
    $server->addPlugin(new Sabre\CalDAV\Plugin());
    $server->exec();
}

$database = new PDO('sqlite:' . getenv('DATABASE'));
$database->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
if (($argv[1] ?? '') === 'prepare') {
    prepare($database, trim(file_get_contents(getenv('PASSWORD_FILE'))));
} else {
    serve($database);
}
