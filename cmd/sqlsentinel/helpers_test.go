package main

import (
	"database/sql"
	"errors"
)

// execSQLite runs SQL on a database file, which it creates.
func execSQLite(path, text string) error {
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return err
	}
	_, err = db.Exec(text)
	return errors.Join(err, db.Close())
}
