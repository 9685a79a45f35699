package cli

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
)

func (a *app) accountCommand() *cobra.Command {
	cmd := a.group("account", "Administer who may log in to Postern", "")
	cmd.AddCommand(
		a.accountList(), a.accountAdd(), a.accountPasswd(), a.accountRole(),
		a.accountSwitch("enable", "Let an account log in again", true),
		a.accountSwitch("disable", "Keep an account from logging in; its sessions end", false),
		a.accountRemove(),
	)
	return cmd
}

var roles = []string{string(auth.Administrator), string(auth.Operator), string(auth.ReadOnly)}

// completeAccounts offers the names of the accounts there are.
func (a *app) completeAccounts(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if len(args) == 0 {
		a.offer(cmd, func(ctx context.Context, api admin.API) {
			list, _ := api.Accounts(ctx)
			for _, acc := range list {
				names = append(names, string(acc.Name))
			}
		})
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) accountList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the accounts", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				list, err := api.Accounts(ctx)
				if err != nil {
					return err
				}
				return a.print(list, func(w io.Writer) {
					var rows [][]string
					for _, acc := range list {
						state := "enabled"
						if !acc.Enabled {
							state = "disabled"
						}
						rows = append(rows, []string{string(acc.Name), string(acc.Role), state, acc.Updated.Local().Format(time.DateTime)})
					}
					table(w, []string{"NAME", "ROLE", "STATE", "CHANGED"}, rows)
				})
			})
		},
	}
}

func (a *app) accountAdd() *cobra.Command {
	var secret secretFlags
	var role string
	cmd := &cobra.Command{
		Use: "add NAME --role ROLE", Short: "Add an account", Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if role == "" {
				return usage("Administrator, Operator or ReadOnly", "--role is missing")
			}
			password, err := a.readSecret(secret, "password of "+args[0], true)
			if err != nil {
				return err
			}
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				return api.CreateAccount(ctx, auth.AccountName(args[0]), auth.Role(role), password)
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "`ROLE` of the account: Administrator, Operator or ReadOnly")
	complete(cmd, "role", roles...)
	secret.add(cmd)
	return cmd
}

func (a *app) accountPasswd() *cobra.Command {
	var secret secretFlags
	cmd := &cobra.Command{
		Use: "passwd NAME", Short: "Change the password of an account; its sessions end", Args: exactly("NAME"),
		ValidArgsFunction: a.completeAccounts,
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := a.readSecret(secret, "new password of "+args[0], true)
			if err != nil {
				return err
			}
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				return api.SetPassword(ctx, auth.AccountName(args[0]), password)
			})
		},
	}
	secret.add(cmd)
	return cmd
}

func (a *app) accountRole() *cobra.Command {
	return &cobra.Command{
		Use: "role NAME ROLE", Short: "Change the role of an account; its sessions end", Args: exactly("NAME", "ROLE"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return roles, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeAccounts(cmd, args, start)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				return api.SetRole(ctx, auth.AccountName(args[0]), auth.Role(args[1]))
			})
		},
	}
}

func (a *app) accountSwitch(use, short string, enabled bool) *cobra.Command {
	return &cobra.Command{
		Use: use + " NAME", Short: short, Args: exactly("NAME"), ValidArgsFunction: a.completeAccounts,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				return api.SetEnabled(ctx, auth.AccountName(args[0]), enabled)
			})
		},
	}
}

func (a *app) accountRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Remove an account; its sessions end", Args: exactly("NAME"), ValidArgsFunction: a.completeAccounts,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				return api.RemoveAccount(ctx, auth.AccountName(args[0]))
			})
		},
	}
}
